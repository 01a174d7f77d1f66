package state

import "strings"

// markers is the part of the prefix where a commit notes which tables it changed. It cannot be a
// table: a table's name starts with a letter.
const markers = ".changed"

// rowKey is where etcd holds a row.
func (s *Store) rowKey(table, key string) string { return s.prefix + "/" + table + "/" + key }

// markerKey is where etcd holds the marker of a table; "" gives the prefix of all markers.
func (s *Store) markerKey(table string) string { return s.prefix + "/" + markers + "/" + table }

// split takes an etcd key apart: the table, and the row's key or that it is the table's marker. It
// is not ours if it is neither, or if no table of that name was given to Open.
func (s *Store) split(etcdKey []byte) (table, key string, marker, ours bool) {
	table, key, _ = strings.Cut(strings.TrimPrefix(string(etcdKey), s.prefix+"/"), "/")
	if key == "" {
		return "", "", false, false
	}
	if table == markers {
		table, key, marker = key, "", true
	}
	_, ours = s.tables[table]
	return table, key, marker, ours
}
