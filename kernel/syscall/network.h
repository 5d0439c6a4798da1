// The kernel's TCP/IP stack, made when the image holds whoever asks for it.
#pragma once

namespace eremite::net {

class Stack;

/// From Stage::Subsystem on. Whoever calls this has the network in the image.
Stack& kernel_stack();

} // namespace eremite::net
