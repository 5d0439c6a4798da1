// Intrusive containers: Boost.Intrusive under a name space of the kernel's own, so that an application that uses Boost
// too never shares an inline function with the kernel. No allocation; an object holds the hooks of the containers it
// can be in. Hooks are in "safe" mode: destroying a linked object asserts.
#pragma once

#include "base/assert.h"

#define BOOST_INTRUSIVE_SAFE_HOOK_DESTRUCTOR_ASSERT ASSERT
#define BOOST_INTRUSIVE_SAFE_HOOK_DEFAULT_ASSERT ASSERT
#define BOOST_INTRUSIVE_INVARIANT_ASSERT ASSERT
#define BOOST_ASSERT_IS_VOID
#include <boost/config.hpp>
namespace eremite_boost {
using namespace ::boost; // config.hpp leaves a few integer types there
}
#define boost eremite_boost
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/rbtree.hpp>
#include <boost/intrusive/set.hpp>
#undef boost

namespace eremite {

namespace intrusive = ::eremite_boost::intrusive;

/// Member hook for a List.
using ListHook = intrusive::list_member_hook<intrusive::link_mode<intrusive::safe_link>>;
/// Member hook for a Tree.
using TreeHook = intrusive::set_member_hook<intrusive::link_mode<intrusive::safe_link>>;

/// Doubly linked list of T through its member `Hook`; size() is not kept.
template<typename T, ListHook T::* Hook>
using List = intrusive::list<T, intrusive::member_hook<T, ListHook, Hook>, intrusive::constant_time_size<false>>;

/// Ordered tree of T through its member `Hook`; `KeyOf` maps a T to its key (has a `type` member).
template<typename T, TreeHook T::* Hook, typename KeyOf>
using Tree = intrusive::set<T, intrusive::member_hook<T, TreeHook, Hook>, intrusive::key_of_value<KeyOf>,
    intrusive::constant_time_size<false>>;

/// Likewise, equal keys allowed; they stay in the order of insertion.
template<typename T, TreeHook T::* Hook, typename KeyOf>
using MultiTree = intrusive::multiset<T, intrusive::member_hook<T, TreeHook, Hook>, intrusive::key_of_value<KeyOf>,
    intrusive::constant_time_size<false>>;

} // namespace eremite
