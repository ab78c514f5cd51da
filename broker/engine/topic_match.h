#ifndef APIUM_BROKER_ENGINE_TOPIC_MATCH_H_
#define APIUM_BROKER_ENGINE_TOPIC_MATCH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "broker/engine/routing.h"

namespace apium::broker {

// The bindings of a topic exchange, found by routing key without a look at each
// of them: a trie over the words of their patterns. A key is words between
// dots; in a pattern "*" stands for exactly one word and "#" for none or more,
// as in AMQP 0-9-1. Words may be empty ("a..b" has three), and the empty text
// is one empty word.
//
// A match costs as many steps as nodes of the trie agree with a part of the
// key, times its words: with patterns as people write them, some for each word.
class TopicIndex {
 public:
  // The binding, which is not in the index; it outlives it or is removed.
  void Add(const Binding* binding);
  // The binding is in the index.
  void Remove(const Binding* binding);
  // Adds the bindings whose pattern takes the key to `matches`, each once.
  void Match(std::string_view routing_key,
             std::vector<const Binding*>* matches);

 private:
  struct Node {
    absl::flat_hash_map<std::string, std::unique_ptr<Node>> next;
    std::unique_ptr<Node> any_word;        // "*"
    std::unique_ptr<Node> any_words;       // "#"
    bool repeats = false;                  // is the `any_words` of another one
    std::vector<const Binding*> bindings;  // whose pattern ends here
    uint64_t reached = 0;  // last step of a match that came here

    bool empty() const {
      return next.empty() && any_word == nullptr && any_words == nullptr &&
             bindings.empty();
    }
  };

  static std::unique_ptr<Node>* NextOf(Node* node, std::string_view word);
  // Whether nothing is left of `node`.
  static bool RemoveBelow(Node* node, std::string_view rest,
                          const Binding* binding);
  // Adds the node, and those that are reached from it by no word, to `nodes`,
  // each once in a step.
  void Reach(Node* node, std::vector<Node*>* nodes);

  Node root_;
  uint64_t step_ = 0;
  std::vector<Node*> here_;  // scratch of Match
  std::vector<Node*> there_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TOPIC_MATCH_H_
