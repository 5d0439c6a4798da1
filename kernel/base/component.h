// Pay for what you reach: a component (a driver, the network, a file system) registers a record, and the record is in
// the image only if something that is in the image says ER_NEEDS of it. boot/main.cpp walks the records in order.
#pragma once

#include "base/result.h"
#include "base/types.h"

namespace eremite {

/// When a component's init runs. Within a stage the order is that of the link.
enum class Stage : u32 {
    Bus = 10, // interrupt controllers, PCI, virtio-mmio discovery
    Device = 20, // drivers
    Subsystem = 30, // network stack, file systems
    Late = 40, // mounts, address configuration, threads of the kernel's own
};

/// A component's record. `init` runs once, on the boot processor, with interrupts on and threads available; an error is
/// logged with the name and boot goes on.
struct Component {
    const char* name;
    Stage stage;
    Result<> (*init)();
};

} // namespace eremite

/// Defines the record of a component in its .cpp: ER_COMPONENT(virtio_net, Stage::Device, init_virtio_net);
#define ER_COMPONENT(identifier, stage, init_function)                                                                 \
    extern "C" {                                                                                                       \
    [[gnu::section("eremite_components"), gnu::used,                                                                   \
        gnu::visibility("hidden")]] extern constinit const ::eremite::Component __eremite_component_##identifier {     \
        #identifier, stage, init_function                                                                              \
    };                                                                                                                 \
    }

/// In a function: whoever keeps this function keeps that component. Costs no instruction and no byte.
#if defined(__ELF__) && !defined(EREMITE_HOST)
#define ER_NEEDS(identifier) asm volatile(".reloc ., BFD_RELOC_NONE, __eremite_component_" #identifier)
#else
#define ER_NEEDS(identifier) static_cast<void>(0)
#endif

/// A part: a table of functions, of type `type`, for code within a component that only some images can come to. It is
/// in the image if something there says ER_NEEDS(name), as components are; where it isn't (ER_HAS_PART), no call
/// through ER_PART(name) may ever be reached. Costs what a direct call does. Declared by ER_DECLARE_PART, defined by
/// ER_DEFINE_PART(type, name, functions...).
#define ER_PART(name) __start_eremite_part_##name
#if defined(__ELF__) && !defined(EREMITE_HOST)
#define ER_DECLARE_PART(type, name)                                                                                    \
    extern "C" {                                                                                                       \
    [[gnu::weak, gnu::visibility("hidden")]] extern const type ER_PART(name);                                          \
    [[gnu::weak, gnu::visibility("hidden")]] extern const char __stop_eremite_part_##name;                             \
    }                                                                                                                  \
    static_assert(true)
/// The link script bounds the place of each part, which is empty where the part isn't in the image.
#define ER_HAS_PART(name) (reinterpret_cast<const char*>(&ER_PART(name)) != &__stop_eremite_part_##name)
#define ER_DEFINE_PART(type, name, ...)                                                                                \
    extern "C" {                                                                                                       \
    [[gnu::section("eremite_part_" #name), gnu::used,                                                                  \
        gnu::visibility("hidden")]] extern constinit const type __eremite_component_##name { __VA_ARGS__ };            \
    }
#else
#define ER_DECLARE_PART(type, name) extern "C" const type ER_PART(name)
#define ER_HAS_PART(name) true
#define ER_DEFINE_PART(type, name, ...) extern "C" const type ER_PART(name) { __VA_ARGS__ };
#endif
