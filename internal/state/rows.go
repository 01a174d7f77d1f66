package state

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// content is one table at one revision with its row type hidden. It is immutable.
type content interface {
	// changed is the revision at which anything in the table last changed, 0 for never.
	changed() int64
	// find returns the row under key for encoding, and the revision that wrote it (0: none).
	find(key string) (row any, revision int64)
	keys() iter.Seq[string]
	edit() editor
}

// editor builds the next content of a table. Its done must be called at most once.
type editor interface {
	put(key string, encoded []byte, revision int64) error
	delete(key string)
	mark(revision int64)
	done() content
}

// rows is the content of a Table[R].
type rows[R any] struct {
	table   *Table[R]
	marked  int64
	byKey   *iradix.Tree[*entry[R]]
	byIndex []*iradix.Tree[*entry[R]]
}

// entry is a row as decoded from etcd. It is never changed.
type entry[R any] struct {
	row      R
	revision int64
}

func (t *Table[R]) empty() content {
	r := &rows[R]{table: t, byKey: iradix.New[*entry[R]]()}
	for range t.indexes {
		r.byIndex = append(r.byIndex, iradix.New[*entry[R]]())
	}
	return r
}

func (r *rows[R]) changed() int64 { return r.marked }

func (r *rows[R]) find(key string) (any, int64) {
	if e, ok := r.byKey.Get([]byte(key)); ok {
		return e.row, e.revision
	}
	return nil, 0
}

// row returns a copy of the row under key, nil when there is none.
func (r *rows[R]) row(key string) *R {
	if e, ok := r.byKey.Get([]byte(key)); ok {
		return new(e.row)
	}
	return nil
}

func (r *rows[R]) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		it := r.byKey.Root().Iterator()
		for key, _, ok := it.Next(); ok; key, _, ok = it.Next() {
			if !yield(string(key)) {
				return
			}
		}
	}
}

func (r *rows[R]) edit() editor {
	e := &edit[R]{table: r.table, marked: r.marked, byKey: r.byKey.Txn()}
	for _, index := range r.byIndex {
		e.byIndex = append(e.byIndex, index.Txn())
	}
	return e
}

// edit is the editor of a Table[R].
type edit[R any] struct {
	table   *Table[R]
	marked  int64
	byKey   *iradix.Txn[*entry[R]]
	byIndex []*iradix.Txn[*entry[R]]
}

func (e *edit[R]) put(key string, encoded []byte, revision int64) error {
	next := &entry[R]{revision: revision}
	if err := json.Unmarshal(encoded, &next.row); err != nil {
		return fmt.Errorf("decoding row %s/%s: %w", e.table.name, key, err)
	}
	if err := e.table.indexable(next.row); err != nil {
		return fmt.Errorf("filing row %s/%s: %w", e.table.name, key, err)
	}
	if old, ok := e.byKey.Insert([]byte(key), next); ok {
		e.unindex(key, old)
	}
	for i, index := range e.table.indexes {
		for _, value := range index.Keys(next.row) {
			e.byIndex[i].Insert([]byte(indexKey(value, key)), next)
		}
	}
	return nil
}

func (t *Table[R]) indexable(row R) error {
	for _, index := range t.indexes {
		for _, value := range index.Keys(row) {
			if strings.ContainsRune(value, 0) {
				return fmt.Errorf("%w: value %.100q of index %s contains NUL",
					ErrInvalidRow, value, index.Name)
			}
		}
	}
	return nil
}

func (e *edit[R]) delete(key string) {
	if old, ok := e.byKey.Delete([]byte(key)); ok {
		e.unindex(key, old)
	}
}

func (e *edit[R]) unindex(key string, old *entry[R]) {
	for i, index := range e.table.indexes {
		for _, value := range index.Keys(old.row) {
			e.byIndex[i].Delete([]byte(indexKey(value, key)))
		}
	}
}

func (e *edit[R]) mark(revision int64) { e.marked = revision }

func (e *edit[R]) done() content {
	r := &rows[R]{table: e.table, marked: e.marked, byKey: e.byKey.Commit()}
	for _, index := range e.byIndex {
		r.byIndex = append(r.byIndex, index.Commit())
	}
	return r
}

// indexKey files key under value. NUL separates the two so that no value is a prefix of another.
func indexKey(value, key string) string {
	return strings.Join([]string{value, key}, "\x00")
}

func walk[R any](tree *iradix.Tree[*entry[R]], prefix string, yield func(R) bool) {
	it := tree.Root().Iterator()
	it.SeekPrefix([]byte(prefix))
	for _, e, ok := it.Next(); ok; _, e, ok = it.Next() {
		if !yield(e.row) {
			return
		}
	}
}
