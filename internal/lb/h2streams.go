package lb

import "iter"

// streamSet are the open streams of a client's connection, in any order: at most maxStreams, so that
// going through their numbers is cheaper than a map, which every request would change twice.
type streamSet struct {
	ids []uint32
	all []*h2stream // all[i] has the number ids[i]
}

func (s *streamSet) len() int { return len(s.all) }

// find returns the stream with a number, or nil.
func (s *streamSet) find(id uint32) *h2stream {
	for i, have := range s.ids {
		if have == id {
			return s.all[i]
		}
	}
	return nil
}

func (s *streamSet) add(st *h2stream) {
	st.place = len(s.all)
	s.ids = append(s.ids, st.id)
	s.all = append(s.all, st)
}

// remove takes out a stream that is in the set; the last one gets its place.
func (s *streamSet) remove(st *h2stream) {
	n := len(s.all) - 1
	s.ids[st.place], s.all[st.place] = s.ids[n], s.all[n]
	s.all[st.place].place = st.place
	s.all[n] = nil
	s.ids, s.all = s.ids[:n], s.all[:n]
}

// each yields the streams. Any of them may be removed meanwhile, and none may be added.
func (s *streamSet) each() iter.Seq[*h2stream] {
	return func(yield func(*h2stream) bool) {
		for i := len(s.all) - 1; i >= 0; i-- {
			if i < len(s.all) && !yield(s.all[i]) {
				return
			}
		}
	}
}
