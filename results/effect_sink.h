#ifndef APIUM_RESULTS_EFFECT_SINK_H_
#define APIUM_RESULTS_EFFECT_SINK_H_

namespace apium::results {

struct ResultEffects;

// Who tells the world.
class EffectSink {
 public:
  virtual ~EffectSink() = default;

  // Releases everything in `effects` but the writes, which are durable, in the
  // order that ResultEffects gives, and takes it out. One call at a time, on a
  // thread of the loop; must not block.
  virtual void Release(ResultEffects* effects) = 0;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_EFFECT_SINK_H_
