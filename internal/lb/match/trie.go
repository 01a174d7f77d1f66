package match

import "slices"

// trie files rules under the literal beginnings of their path patterns. It is a radix tree: a node
// holds the bytes that all of its descendants share.
type trie struct {
	prefix   string
	rules    []int32 // ascending
	children []*trie // by first byte of prefix
}

// add files a rule. Rules are added in ascending order.
func (t *trie) add(key string, rule int32) {
	n := t
	for key != "" {
		i, found := n.child(key[0])
		if !found {
			n.children = slices.Insert(n.children, i, &trie{prefix: key})
			n, key = n.children[i], ""
			break
		}
		c := n.children[i]
		shared := sharedLen(c.prefix, key)
		if shared < len(c.prefix) {
			n.children[i] = &trie{prefix: c.prefix[:shared], children: []*trie{c}}
			c.prefix = c.prefix[shared:]
		}
		n, key = n.children[i], key[shared:]
	}
	if len(n.rules) == 0 || n.rules[len(n.rules)-1] != rule {
		n.rules = append(n.rules, rule)
	}
}

func (t *trie) child(c byte) (int, bool) {
	return slices.BinarySearchFunc(t.children, c, func(n *trie, c byte) int {
		return int(n.prefix[0]) - int(c)
	})
}

func sharedLen(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// collect appends the lists of all nodes whose key is a beginning of path.
func (t *trie) collect(path []byte, lists [][]int32) [][]int32 {
	n := t
	for {
		if len(n.rules) > 0 {
			lists = append(lists, n.rules)
		}
		if len(path) == 0 {
			return lists
		}
		i, found := n.child(path[0])
		if !found {
			return lists
		}
		n = n.children[i]
		if len(path) < len(n.prefix) || string(path[:len(n.prefix)]) != n.prefix {
			return lists
		}
		path = path[len(n.prefix):]
	}
}
