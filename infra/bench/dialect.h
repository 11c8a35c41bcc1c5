// What the load generator has to know of the protocols that clients of applications speak over a WebSocket:
// how a client comes in, what it says to publish, and what each frame that it is sent holds. Pure: bytes in,
// bytes out.
#ifndef DIALECT_H
#define DIALECT_H
#include <stddef.h>

enum dialect { D_NONE, D_SOCKETIO, D_CENTRIFUGE_JSON, D_CENTRIFUGE_PROTOBUF };

// D_NONE where nothing is called that.
enum dialect dialect_named(const char *name);

// Where the protocol is served if nothing else is said.
const char *dialect_path(enum dialect d);

// The opcode of what a client says.
int dialect_opcode(enum dialect d);

// How many replies a client has had when it is in, and subscribed where it subscribes.
int dialect_replies_wanted(enum dialect d, int subscribes);

// What a client says after so many replies, into `out` of 512 bytes or more; its length, 0 for nothing.
size_t dialect_comes_in(enum dialect d, int replies, int channel, char *out);

// What publishes `n` bytes of payload that JSON need not escape; `out` holds 256 bytes more than they are.
size_t dialect_publishes(enum dialect d, int channel, const char *payload, size_t n, char *out);

// What answers a ping.
size_t dialect_pong(enum dialect d, char *out);

// What stands in one message: how many of each.
struct heard {
  int replies, refusals, publications, pings;
  // Whether anything was not the protocol.
  int bad;
};
struct heard dialect_hears(enum dialect d, int opcode, const char *bytes, size_t n);

#endif
