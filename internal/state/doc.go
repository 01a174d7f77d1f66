// Package state keeps what Fairlead knows: typed tables of rows, held by etcd, mirrored in memory.
//
// A [Table] is declared once, next to its row type, with a function that names a row and any number
// of secondary indexes. [Open] brings up a [Store] over a set of tables: an etcd of its own inside
// this process by default, or a cluster that several Fairlead processes share. Three verbs follow:
//
//   - [Store.View] gives a [Snapshot]: every table at one revision, immutable, for free.
//   - [Store.Update] runs a function over a [Tx] and commits all that it wrote in one etcd
//     transaction, provided that nothing it read has changed in the meantime. When it returns,
//     View shows the result.
//   - [Store.Watch] gives a [Watcher], which reports which rows changed since it was last asked.
//
// # How it works
//
// A row is JSON under <prefix>/<table>/<key>. One etcd watch feeds persistent radix trees, one per
// table and one per index, so a snapshot is a handful of roots and a reader never waits. Memory
// holds what was decoded from etcd and never what a caller handed in.
//
// Every commit also writes <prefix>/.changed/<table> for each table that it changes. The revision
// of that marker is the last at which anything in the table changed, deletions included, which a
// comparison over the rows themselves cannot tell. A transaction that walked a table compares this
// one marker; a transaction that read single rows compares those rows.
//
// # What callers must know
//
// Rows are values. A slice or a map inside a row that was read is shared with every other reader
// and must not be changed: clone it, change the clone, Put the row.
//
// A row that is Put without being different from what is stored is not written, so a controller may
// Put what it observes without waking itself.
package state
