#include "broker/engine/topic_match.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr std::string_view kAnyWord = "*";
constexpr std::string_view kAnyWords = "#";

// Takes the first word from `text`. Nothing is left when `more` is false.
std::string_view TakeWord(std::string_view* text, bool* more) {
  const size_t dot = text->find('.');
  const std::string_view word = text->substr(0, dot);
  *more = dot != std::string_view::npos;
  if (*more) text->remove_prefix(dot + 1);
  return word;
}

}  // namespace

std::unique_ptr<TopicIndex::Node>* TopicIndex::NextOf(Node* node,
                                                      std::string_view word) {
  if (word == kAnyWord) return &node->any_word;
  if (word == kAnyWords) return &node->any_words;
  return &node->next[AbslView(word)];
}

void TopicIndex::Add(const Binding* binding) {
  std::string_view rest = binding->routing_key;
  Node* node = &root_;
  for (bool more = true; more;) {
    const std::string_view word = TakeWord(&rest, &more);
    // "#.#" takes what "#" takes.
    if (word == kAnyWords && node->repeats) continue;
    std::unique_ptr<Node>* next = NextOf(node, word);
    if (*next == nullptr) {
      *next = std::make_unique<Node>();
      (*next)->repeats = word == kAnyWords;
    }
    node = next->get();
  }
  node->bindings.push_back(binding);
}

void TopicIndex::Remove(const Binding* binding) {
  RemoveBelow(&root_, binding->routing_key, binding);
}

bool TopicIndex::RemoveBelow(Node* node, std::string_view rest,
                             const Binding* binding) {
  bool more = true;
  std::string_view word = TakeWord(&rest, &more);
  while (word == kAnyWords && node->repeats && more)
    word = TakeWord(&rest, &more);
  if (word == kAnyWords && node->repeats) {
    // The pattern ends here: the node is the one of its last "#".
    std::erase(node->bindings, binding);
    return node->empty();
  }
  std::unique_ptr<Node>* next = NextOf(node, word);
  bool gone = false;
  if (more) {
    gone = RemoveBelow(next->get(), rest, binding);
  } else {
    std::erase((*next)->bindings, binding);
    gone = (*next)->empty();
  }
  if (gone) {
    if (word == kAnyWord || word == kAnyWords) {
      next->reset();
    } else {
      node->next.erase(AbslView(word));
    }
  }
  return node->empty();
}

void TopicIndex::Reach(Node* node, std::vector<Node*>* nodes) {
  for (; node != nullptr && node->reached != step_;
       node = node->any_words.get()) {
    node->reached = step_;
    nodes->push_back(node);
  }
}

void TopicIndex::Match(std::string_view routing_key,
                       std::vector<const Binding*>* matches) {
  ++step_;
  here_.clear();
  Reach(&root_, &here_);
  for (bool more = true; more && !here_.empty();) {
    const std::string_view word = TakeWord(&routing_key, &more);
    ++step_;
    there_.clear();
    for (Node* node : here_) {
      if (node->repeats) Reach(node, &there_);
      if (node->any_word != nullptr) Reach(node->any_word.get(), &there_);
      const auto it = node->next.find(AbslView(word));
      if (it != node->next.end()) Reach(it->second.get(), &there_);
    }
    std::swap(here_, there_);
  }
  for (const Node* node : here_)
    matches->insert(matches->end(), node->bindings.begin(),
                    node->bindings.end());
}

}  // namespace apium::broker
