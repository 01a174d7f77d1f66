package state

import (
	"encoding/json"
	"log/slog"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

type pet struct {
	Name string
	Toys []string
}

var pets = NewTable("pets", func(p pet) string { return p.Name },
	Index[pet]{Name: "toy", Keys: func(p pet) []string { return p.Toys }})

// FuzzFeed lets etcd report any key with any value. Whatever it is, the other rows stay, and the
// table and its index tell the same story.
func FuzzFeed(f *testing.F) {
	f.Add("/fairlead/pets/rex", `{"Name":"rex","Toys":["ball","bone","ball"]}`, false)
	f.Add("/fairlead/pets/tom", `{"Name":"tom"}`, false)
	f.Add("/fairlead/pets/tom", `{"Name":`, false)
	f.Add("/fairlead/pets/tom", ``, true)
	f.Add("/fairlead/pets/", `{}`, false)
	f.Add("/fairlead/pets", `{}`, true)
	f.Add("/fairlead/.changed/pets", ``, false)
	f.Add("/fairlead/.changed/pets", ``, true)
	f.Add("/fairlead/.changed/", ``, false)
	f.Add("/fairlead/pets/nul", `{"Toys":["a\u0000b"]}`, false)
	f.Add("elsewhere", `null`, false)
	f.Fuzz(func(t *testing.T, key, value string, deleted bool) {
		s, err := newStore(Config{Logger: slog.New(slog.DiscardHandler)}, []TableInfo{pets})
		if err != nil {
			t.Fatal(err)
		}
		s.current.Store(s.draft(nil).done())
		s.apply(t.Context(), []*clientv3.Event{
			event("/fairlead/pets/tom", `{"Name":"tom","Toys":["ball"]}`, false, 1),
			event("/fairlead/pets/cat", `{"Name":"cat","Toys":["ball"]}`, false, 1),
		})
		s.apply(t.Context(), []*clientv3.Event{event(key, value, deleted, 2)})
		if got := s.View().Revision(); got != 2 {
			t.Errorf("revision %d, want 2", got)
		}
		checkPets(t, s.View(), key)
	})
}

func event(key, value string, deleted bool, revision int64) *clientv3.Event {
	e := &clientv3.Event{
		Type: clientv3.EventTypePut,
		Kv:   &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value), ModRevision: revision},
	}
	if deleted {
		e.Type = clientv3.EventTypeDelete
	}
	return e
}

func checkPets(t *testing.T, view *Snapshot, touched string) {
	t.Helper()
	for _, name := range []string{"tom", "cat"} {
		_, ok := pets.Get(view, name)
		if !ok && touched != "/fairlead/pets/"+name {
			t.Errorf("%s is lost", name)
		}
	}
	filed := make(map[string]bool)
	for p := range pets.Scan(view, "") {
		for _, toy := range p.Toys {
			filed[toy] = true
		}
	}
	for toy := range filed {
		for p := range pets.By(view, "toy", toy) {
			if encoded, err := json.Marshal(p); err != nil || len(p.Toys) == 0 {
				t.Errorf("the index has %s under %q, %v", encoded, toy, err)
			}
		}
	}
}
