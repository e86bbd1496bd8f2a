/*
 * address: socket addresses and their text, "127.0.0.1:7464", "[::1]:7464", "unix:/run/ringmq.sock". Names are never
 * looked up: an address is written in digits.
 */
#ifndef SERVER_NET_ADDRESS_H
#define SERVER_NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Room for the longest text and its terminator: a path of a Unix socket, or an IPv6 address with its interface. */
#define ADDRESS_TEXT_BYTES 128

struct address {
    struct sockaddr_storage storage;
    socklen_t bytes;
};

/* An IPv4 or IPv6 address, the latter with or without brackets. False if the text is neither. */
bool address_parse(struct address *address, const char *text, uint16_t port);

/* The address of a Unix socket. False if the path is empty or too long. */
bool address_from_path(struct address *address, const char *path);

/* Stores the text, terminated. A peer on a Unix socket has no name of its own: "unix". */
void address_print(const struct address *address, char out[ADDRESS_TEXT_BYTES]);

/* The port; 0 if the address has none. */
uint16_t address_port(const struct address *address);

#endif
