// Chain: a doubly linked list whose links lie in the elements.
//
// Moving an attempt between queue, task and shelf costs no allocation, and it leaves any of them
// from the middle in constant time. An element is in at most one chain for each of its links, and
// must leave before it is destroyed. No thread-safety.
#pragma once

#include <cstddef>

namespace achilles::worker {

template <class T>
struct Link {
  T* previous = nullptr;
  T* next = nullptr;
};

template <class T, Link<T> T::* kLink>
class Chain {
 public:
  Chain() = default;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  bool empty() const { return first_ == nullptr; }
  std::size_t size() const { return size_; }
  T* front() const { return first_; }
  T* back() const { return last_; }
  static T* after(const T& element) { return (element.*kLink).next; }

  void push_back(T& element) {
    element.*kLink = {last_, nullptr};
    (last_ != nullptr ? (last_->*kLink).next : first_) = &element;
    last_ = &element;
    ++size_;
  }
  void push_front(T& element) {
    element.*kLink = {nullptr, first_};
    (first_ != nullptr ? (first_->*kLink).previous : last_) = &element;
    first_ = &element;
    ++size_;
  }
  /// REQUIRES: `place` is in this chain, or null for the end.
  void insert_before(T* place, T& element) {
    if (place == nullptr) return push_back(element);
    if (place == first_) return push_front(element);
    T* previous = (place->*kLink).previous;
    element.*kLink = {previous, place};
    (previous->*kLink).next = &element;
    (place->*kLink).previous = &element;
    ++size_;
  }
  /// REQUIRES: the element is in this chain.
  void erase(T& element) {
    Link<T>& link = element.*kLink;
    (link.previous != nullptr ? (link.previous->*kLink).next : first_) = link.next;
    (link.next != nullptr ? (link.next->*kLink).previous : last_) = link.previous;
    link = {};
    --size_;
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace achilles::worker
