package state

// Counted is a reader that counts what is read through it, so that a test can tell an index from a
// scan.
type Counted struct {
	Reader
	rows int
}

// NewCounted returns a reader of what r shows.
func NewCounted(r Reader) *Counted { return &Counted{Reader: r} }

// Rows is how many rows were got or walked so far. A walk that its caller ends early counts as far
// as it went, and [Table.Len] counts every row of its table.
func (c *Counted) Rows() int { return c.rows }

// count adds to what was read if somebody counts.
func count(r Reader, rows int) {
	if c, ok := r.(*Counted); ok {
		c.rows += rows
	}
}

// counting is yield, which also counts if somebody does.
func counting[R any](r Reader, yield func(R) bool) func(R) bool {
	if _, ok := r.(*Counted); !ok {
		return yield
	}
	return func(row R) bool {
		count(r, 1)
		return yield(row)
	}
}
