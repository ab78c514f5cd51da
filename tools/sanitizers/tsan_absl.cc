// Tells ThreadSanitizer about Abseil's synchronization and shared statuses.
//
// Debian's libabsl_synchronization.so is not instrumented, so TSan sees neither
// its atomics nor its futexes and would report everything that an absl::Mutex
// guards. This file defines the same symbols in the executable, where the
// dynamic linker finds them first: each one calls the library's own function
// and declares the happens-before edge that it makes. Abseil's own annotations,
// were the library compiled with TSan, say the same.
//
// Conditions (Mutex::Await, LockWhen) are evaluated by whichever thread
// unlocks. That thread holds the mutex then, but has already declared its
// release, so reads within Abseil's functions are not recorded.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "tools/sanitizers/library_symbol.h"

extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}

// The inline namespace of Debian's build is part of every symbol.
#define APIUM_ABSL_PREFIX "_ZN4absl7debian3"
#define APIUM_ABSL_CONST_PREFIX "_ZNK4absl7debian3"

namespace {

class IgnoreAccesses {
 public:
  IgnoreAccesses() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~IgnoreAccesses() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
};

void* Address(const void* object) { return const_cast<void*>(object); }

}  // namespace

#define APIUM_SYMBOL(name)                                \
  static void* const symbol = apium::LibrarySymbol(name); \
  IgnoreAccesses ignore_accesses

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "5Mutex4LockEv");
  apium::CallSymbol<void>(symbol, this);
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "5Mutex6UnlockEv");
  __tsan_release(this);
  apium::CallSymbol<void>(symbol, this);
}

bool Mutex::TryLock() {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "5Mutex7TryLockEv");
  const bool locked = apium::CallSymbol<bool>(symbol, this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::ReaderLock() {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "5Mutex10ReaderLockEv");
  apium::CallSymbol<void>(symbol, this);
  __tsan_acquire(this);
}

void Mutex::ReaderUnlock() {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "5Mutex12ReaderUnlockEv");
  __tsan_release(this);
  apium::CallSymbol<void>(symbol, this);
}

bool Mutex::ReaderTryLock() {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "5Mutex13ReaderTryLockEv");
  const bool locked = apium::CallSymbol<bool>(symbol, this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::Await(const Condition& condition) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "5Mutex5AwaitERKNS0_9ConditionE");
  __tsan_release(this);
  apium::CallSymbol<void>(symbol, this, &condition);
  __tsan_acquire(this);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX
               "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  __tsan_release(this);
  const bool met = apium::CallSymbol<bool>(symbol, this, &condition, timeout);
  __tsan_acquire(this);
  return met;
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX
               "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  __tsan_release(this);
  const bool met = apium::CallSymbol<bool>(symbol, this, &condition, deadline);
  __tsan_acquire(this);
  return met;
}

void Mutex::LockWhen(const Condition& condition) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "5Mutex8LockWhenERKNS0_9ConditionE");
  apium::CallSymbol<void>(symbol, this, &condition);
  __tsan_acquire(this);
}

bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX
               "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  const bool met = apium::CallSymbol<bool>(symbol, this, &condition, timeout);
  __tsan_acquire(this);
  return met;
}

bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX
               "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  const bool met = apium::CallSymbol<bool>(symbol, this, &condition, deadline);
  __tsan_acquire(this);
  return met;
}

void Mutex::ReaderLockWhen(const Condition& condition) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "5Mutex14ReaderLockWhenERKNS0_9ConditionE");
  apium::CallSymbol<void>(symbol, this, &condition);
  __tsan_acquire(this);
}

bool Mutex::ReaderLockWhenWithTimeout(const Condition& condition,
                                      Duration timeout) {
  APIUM_SYMBOL(
      APIUM_ABSL_PREFIX
      "5Mutex25ReaderLockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  const bool met = apium::CallSymbol<bool>(symbol, this, &condition, timeout);
  __tsan_acquire(this);
  return met;
}

bool Mutex::ReaderLockWhenWithDeadline(const Condition& condition,
                                       Time deadline) {
  APIUM_SYMBOL(
      APIUM_ABSL_PREFIX
      "5Mutex26ReaderLockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  const bool met = apium::CallSymbol<bool>(symbol, this, &condition, deadline);
  __tsan_acquire(this);
  return met;
}

void CondVar::Wait(Mutex* mutex) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "7CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  apium::CallSymbol<void>(symbol, this, mutex);
  __tsan_acquire(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX
               "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  __tsan_release(mutex);
  const bool timed_out = apium::CallSymbol<bool>(symbol, this, mutex, timeout);
  __tsan_acquire(mutex);
  return timed_out;
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX
               "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  __tsan_release(mutex);
  const bool timed_out = apium::CallSymbol<bool>(symbol, this, mutex, deadline);
  __tsan_acquire(mutex);
  return timed_out;
}

void Notification::Notify() {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "12Notification6NotifyEv");
  __tsan_release(this);
  apium::CallSymbol<void>(symbol, this);
}

void Notification::WaitForNotification() const {
  APIUM_SYMBOL(APIUM_ABSL_CONST_PREFIX "12Notification19WaitForNotificationEv");
  apium::CallSymbol<void>(symbol, this);
  __tsan_acquire(Address(this));
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  APIUM_SYMBOL(APIUM_ABSL_CONST_PREFIX
               "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  const bool notified = apium::CallSymbol<bool>(symbol, this, timeout);
  if (notified) __tsan_acquire(Address(this));
  return notified;
}

bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  APIUM_SYMBOL(APIUM_ABSL_CONST_PREFIX
               "12Notification31WaitForNotificationWithDeadlineENS0_4TimeE");
  const bool notified = apium::CallSymbol<bool>(symbol, this, deadline);
  if (notified) __tsan_acquire(Address(this));
  return notified;
}

bool BlockingCounter::DecrementCount() {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "15BlockingCounter14DecrementCountEv");
  __tsan_release(this);
  const bool last = apium::CallSymbol<bool>(symbol, this);
  if (last) __tsan_acquire(this);
  return last;
}

void BlockingCounter::Wait() {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "15BlockingCounter4WaitEv");
  apium::CallSymbol<void>(symbol, this);
  __tsan_acquire(this);
}

// Copies of a status share what they say, and the last one to go deletes it.
void Status::UnrefNonInlined(uintptr_t rep) {
  APIUM_SYMBOL(APIUM_ABSL_PREFIX "6Status15UnrefNonInlinedEm");
  void* const shared = reinterpret_cast<void*>(rep);
  __tsan_release(shared);
  __tsan_acquire(shared);
  apium::CallSymbol<void>(symbol, rep);
}

ABSL_NAMESPACE_END
}  // namespace absl
