/*
 * tree: ready messages in the order of their ids, beside the ring that holds all of a queue's: those of one priority, or of one
 * group. A treap (R. Seidel, C. Aragon: "Randomized Search Trees", Algorithmica 16, 1996) whose nodes are the messages'
 * own links and whose heap order is a hash of the id: so it stores nothing else, and neither putting a message in nor taking
 * one out ever allocates. Both cost a logarithm of the messages in the tree.
 *
 * A tree is a pointer to its root, NULL when empty. Messages must have links (MESSAGE_LINKED).
 */
#ifndef SERVER_BROKER_TREE_H
#define SERVER_BROKER_TREE_H

#include "server/broker/message.h"

/* Puts a message in; no other in the tree has its id. */
void tree_put(struct message **root, struct message *message);

/* Takes a message out, which must be in the tree. */
void tree_remove(struct message **root, struct message *message);

/* The message with the lowest id, or NULL. */
struct message *tree_first(struct message *root);

#endif
