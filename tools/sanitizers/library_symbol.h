#ifndef APIUM_TOOLS_SANITIZERS_LIBRARY_SYMBOL_H_
#define APIUM_TOOLS_SANITIZERS_LIBRARY_SYMBOL_H_

// What the ThreadSanitizer annotations of uninstrumented libraries have in
// common. See README.md.

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

namespace apium {

// The shared library's own definition of a symbol that this executable defines
// too. Aborts where there is none: the annotations would be wrong for this
// version of the library.
inline void* LibrarySymbol(const char* name) {
  void* symbol = dlsym(RTLD_NEXT, name);
  if (symbol == nullptr) {
    std::fprintf(stderr, "tools/sanitizers: no shared library has %s\n", name);
    std::abort();
  }
  return symbol;
}

// Calls a function found by LibrarySymbol. A member function takes `this` as
// its first argument in this ABI.
template <typename Result, typename... Arguments>
Result CallSymbol(void* symbol, Arguments... arguments) {
  return reinterpret_cast<Result (*)(Arguments...)>(symbol)(arguments...);
}

}  // namespace apium

#endif  // APIUM_TOOLS_SANITIZERS_LIBRARY_SYMBOL_H_
