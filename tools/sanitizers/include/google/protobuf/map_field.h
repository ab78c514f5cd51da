// Stands before Protobuf's header of this name in sanitized builds. Under
// ThreadSanitizer that header gives MapFieldBase two more members, which
// Debian's library, compiled without, does not know: it then reads the others
// at wrong offsets, and the first map on an arena crashes it. Here the header
// does not see the sanitizer.

#ifndef APIUM_TOOLS_SANITIZERS_MAP_FIELD_H_
#define APIUM_TOOLS_SANITIZERS_MAP_FIELD_H_

// The standard library must see it: std::shared_ptr is compiled differently.
#include <memory>

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")

#endif  // APIUM_TOOLS_SANITIZERS_MAP_FIELD_H_
