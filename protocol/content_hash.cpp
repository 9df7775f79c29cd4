#include "protocol/content_hash.hpp"

#include <sodium.h>

namespace achilles::protocol {

// libsodium's state wants 64-byte alignment, which operator new gives to a type that asks for it.
struct ContentHash::State {
  crypto_generichash_state hash;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) {
  // Chooses the fastest implementation for this processor; safe to call again, from any thread.
  [[maybe_unused]] const int ready = sodium_init();
  crypto_generichash_init(&state_->hash, nullptr, 0, sizeof(ProgramId::hash));
}

ContentHash::~ContentHash() = default;
ContentHash::ContentHash(ContentHash&&) noexcept = default;
ContentHash& ContentHash::operator=(ContentHash&&) noexcept = default;

void ContentHash::update(std::span<const std::byte> bytes) {
  crypto_generichash_update(&state_->hash, reinterpret_cast<const unsigned char*>(bytes.data()),
                            bytes.size());
}

ProgramId ContentHash::finish() {
  ProgramId program;
  crypto_generichash_final(&state_->hash, program.hash.data(), program.hash.size());
  return program;
}

ProgramId hash_of(std::span<const std::byte> bytes) {
  ContentHash hash;
  hash.update(bytes);
  return hash.finish();
}

}  // namespace achilles::protocol
