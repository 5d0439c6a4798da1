/* The TCP/IP stack as a shared library for a Linux process, for test tools that drive it by scripts: sockets on one
 * side, Ethernet frames on the other, and time that passes only when told. Addresses, options and flags are Linux's of
 * this machine; a negative result is an errno number. Nothing blocks: what would have to wait gives -EAGAIN (connect:
 * -EINPROGRESS). One thread at a time per stack. */
#pragma once

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct en_stack en_stack;

/* A stack with one Ethernet device and no address. `seed` makes its random numbers. NULL if memory is short. */
en_stack* en_create(const uint8_t mac[6], uint32_t mtu, uint64_t seed);
void en_destroy(en_stack*);
/* "10.0.0.1", 24 or "fd00::1", 64. */
int en_add_address(en_stack*, const char* address, unsigned prefix);
int en_add_gateway(en_stack*, const char* address);

/* A socket's number, from 0. */
int en_open(en_stack*, int domain, int type, int protocol);
int en_bind(en_stack*, int socket, const struct sockaddr*, socklen_t);
int en_listen(en_stack*, int socket, int backlog);
int en_connect(en_stack*, int socket, const struct sockaddr*, socklen_t);
/* The new socket's number; its peer, if `peer` is not NULL. */
int en_accept(en_stack*, int socket, struct sockaddr_storage* peer);
ssize_t en_read(en_stack*, int socket, void* buffer, size_t size);
ssize_t en_write(en_stack*, int socket, const void* data, size_t size);
int en_shutdown(en_stack*, int socket, int how);
int en_close(en_stack*, int socket);
int en_setsockopt(en_stack*, int socket, int level, int name, const void* value, socklen_t);
int en_getsockopt(en_stack*, int socket, int level, int name, void* value, socklen_t*);
/* Fills in revents, where fd is a socket's number; returns how many have any. */
int en_poll(en_stack*, struct pollfd*, size_t count);

/* A frame arrives, with its Ethernet header and without a checksum behind it. */
int en_packet_in(en_stack*, const void* frame, size_t size);
/* The next frame that the stack has sent: its length, or 0 if there is none; -EMSGSIZE leaves it there. */
ssize_t en_packet_out(en_stack*, void* buffer, size_t size);
/* Lets time pass; what is due happens on the way, each thing at its time. */
void en_advance(en_stack*, uint64_t nanoseconds);
/* How long until something is due, in nanoseconds; UINT64_MAX if nothing is. */
uint64_t en_until_next(en_stack*);

#ifdef __cplusplus
}
#endif
