// Package engine is the store: one writer, one order, one truth, on Badger or in
// memory. It never sees NATS.
//
// [Open] returns an [Engine]. Commands go in through [Commands], and are applied
// by one writer in groups, each made durable by one commit; reads come from the
// last durable commit; every change waits in the outbox ([Feed]) until somebody
// has announced it. DESIGN.md says why it is built like this.
package engine
