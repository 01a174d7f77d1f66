package balancer

import (
	"fmt"
	"testing"
	"time"

	"fairlead/internal/lb"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// BenchmarkPass measures a pass that finds nothing to do, with and without a change of rows, over
// 50 load balancers with 20 target groups of 10 targets each.
func BenchmarkPass(b *testing.B) {
	store, engine := statetest.Open(b, row.Tables()...), newFakeEngine()
	for i := range 50 {
		statetest.Update(b, store, func(tx *state.Tx) {
			name := fmt.Sprintf("lb%d", i)
			var groups []string
			for j := range 20 {
				g := fmt.Sprintf("%s-%d", name, j)
				groups = append(groups, g)
				putGroup(tx, g, nil)
				for k := range 10 {
					t := putTarget(tx, g, fmt.Sprintf("10.%d.%d.%d", i, j, k+10), "eu-west-1a", nil)
					engine.health = append(engine.health, lb.TargetHealth{
						TargetKey: keyOf(t), State: lb.Healthy, Since: time.Unix(0, 0),
					})
				}
			}
			lb := putBalancer(tx, name, "internal", byte(i), groups[0])
			l, _ := row.First(row.Listeners.By(tx, "balancer", lb.ARN))
			for j, g := range groups[1:] {
				putRule(tx, l, j+1, nil, forward(g))
			}
		})
	}
	c := newController(store, engine)
	c.pass(b.Context(), true)
	for _, rowsChanged := range []bool{true, false} {
		b.Run(fmt.Sprint("rowsChanged=", rowsChanged), func(b *testing.B) {
			for b.Loop() {
				c.pass(b.Context(), rowsChanged)
			}
		})
	}
}
