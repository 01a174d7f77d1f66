package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// overlaySuffix ends the name of a file that adds to a model what the public one does not have yet.
// It is kept apart so that a new cut of the model does not lose it.
const overlaySuffix = ".overlay.json"

// readLaid reads a model and lays the overlay beside it, if there is one, over it. Added are the
// members that the overlay gives to structures that the model has.
func readLaid(file string) (m *model, added []string, err error) {
	if m, err = readModel(file); err != nil {
		return nil, nil, err
	}
	o, err := readModel(strings.TrimSuffix(file, ".json") + overlaySuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil, nil
	case err != nil:
		return nil, nil, err
	}
	added, err = m.lay(o)
	return m, added, err
}

// lay adds the overlay's shapes, and its members of shapes that are there. What the model has by
// now is an error, so that an overlay is not kept longer than it is needed.
func (m *model) lay(o *model) (added []string, err error) {
	for _, name := range sorted(o.Shapes) {
		have := m.Shapes[name]
		if have == nil {
			m.Shapes[name] = o.Shapes[name]
			continue
		}
		if len(o.Shapes[name].Members) == 0 {
			return nil, fmt.Errorf("the model has %s: remove it from the overlay", name)
		}
		for _, member := range sorted(o.Shapes[name].Members) {
			if have.Members[member] != nil {
				return nil, fmt.Errorf("the model has %s.%s: remove it from the overlay", name, member)
			}
			have.Members[member] = o.Shapes[name].Members[member]
			added = append(added, member)
		}
	}
	slices.Sort(added)
	return added, nil
}
