/*
 * notify: tells the service manager how far the server is (sd_notify(3)), without its library: one datagram to the
 * socket that NOTIFY_SOCKET names.
 */
#ifndef SERVER_OPS_NOTIFY_H
#define SERVER_OPS_NOTIFY_H

/* Sends a state, "READY=1" or "STOPPING=1". Nothing happens if nobody wants to know; a failure is not worth a word. */
void notify_send(const char *state);

#endif
