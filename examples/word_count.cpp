// Counts the words of text files: word_count [--top N] [--files-from LIST] [FILE]…
//
// A word is a run of letters, in lower case: A to Z, and every byte from 0x80 on, so that no word
// of UTF-8 text is cut. The text is read here, lazily, since workers on other machines do not have
// the files. The workers count, and send back one small table for each file.
#include <achilles/pool.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <ranges>
#include <unordered_map>

using Counts = std::vector<std::pair<std::string, std::uint64_t>>;

// Runs on the workers.
Counts count_words(std::string text) {
  const auto is_letter = [](unsigned char c) { return (c >= 'a' && c <= 'z') || c >= 0x80; };
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  }
  std::unordered_map<std::string_view, std::uint64_t> counts;
  for (auto begin = text.cbegin(); begin != text.cend();) {
    const auto end = std::find_if_not(begin, text.cend(), is_letter);
    if (begin != end) ++counts[{begin, end}];
    begin = std::find_if(end, text.cend(), is_letter);
  }
  return {counts.begin(), counts.end()};  // The views end with the text: words go as strings.
}

// The text of one file after another. What cannot be read, or is not text, is skipped.
class Texts {
 public:
  explicit Texts(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  std::size_t files() const { return next_ - skipped_; }

  std::optional<std::string> operator()() {
    while (next_ < paths_.size()) {
      const std::string& path = paths_[next_++];
      std::error_code error;
      const auto size = std::filesystem::file_size(path, error);
      std::ifstream file(path, std::ios::binary);
      if (!error && file) {
        std::string text(size, '\0');
        file.read(text.data(), static_cast<std::streamsize>(size));
        if (text.find('\0') == text.npos) return text;
      }
      ++skipped_;
      std::cerr << "word_count: skipped " << path << ": "
                << (error || !file ? "it cannot be read" : "it is not text") << '\n';
    }
    return std::nullopt;
  }

 private:
  std::vector<std::string> paths_;
  std::size_t next_ = 0, skipped_ = 0;
};

int main(int argc, char** argv) {
  std::vector<std::string> paths;
  long top = 20;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--top" && i + 1 < argc) {
      top = std::atol(argv[++i]);
    } else if (argument == "--files-from" && i + 1 < argc) {
      const std::string list = argv[++i];
      std::ifstream file(list == "-" ? "/dev/stdin" : list);
      for (std::string path; std::getline(file, path);) paths.push_back(path);
      if (!file.eof()) throw std::runtime_error("word_count: cannot read the list " + list);
    } else {
      paths.push_back(argument);
    }
  }

  const auto start = std::chrono::steady_clock::now();
  Texts texts(std::move(paths));
  std::unordered_map<std::string, std::uint64_t> totals;
  std::uint64_t words = 0;
  achilles::Pool pool;
  // `texts` is called by this thread, and only as the Pool has room: memory stays small. The tables
  // come in any order, which makes no difference to a sum.
  for (const auto& counts : pool.imap_unordered(count_words, achilles::generate(std::ref(texts)))) {
    for (const auto& [word, count] : counts) {
      totals[word] += count;
      words += count;
    }
  }

  // Words that are equally frequent go by the alphabet, so that every run prints the same.
  Counts sorted(totals.begin(), totals.end());
  std::ranges::sort(sorted, {}, [](const auto& entry) {
    return std::pair(~entry.second, std::string_view(entry.first));
  });
  for (const auto& [word, count] : sorted | std::views::take(top)) {
    std::cout << std::setw(10) << count << ' ' << word << '\n';
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cerr << texts.files() << " files, " << words << " words, " << std::setprecision(3)
            << seconds.count() << " seconds\n";
}
