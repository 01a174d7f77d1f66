package plan

import (
	"testing"

	"fairlead/internal/api/ecs"
)

func TestBreakerThreshold(t *testing.T) {
	conf := func(kind ecs.ThresholdType, value int32) *ecs.ThresholdConfiguration {
		return &ecs.ThresholdConfiguration{Type: kind, Value: &value}
	}
	bounded, unbounded := ecs.ThresholdTypeBOUNDEDPERCENT, ecs.ThresholdTypeUNBOUNDEDPERCENT
	for _, c := range []struct {
		conf          *ecs.ThresholdConfiguration
		desired, want int
	}{
		{nil, 0, 3}, {nil, 1, 3}, {nil, 6, 3}, {nil, 7, 4}, {nil, 25, 13}, {nil, 400, 200}, {nil, 800, 200},
		{conf(bounded, 50), 25, 13}, {conf(bounded, 10), 25, 3}, {conf(bounded, 100), 25, 25},
		{conf(bounded, 100), 300, 200}, {conf(bounded, 1), 5000, 50},
		{conf(unbounded, 10), 25, 3}, {conf(unbounded, 10), 4, 1}, {conf(unbounded, 100), 300, 300},
		{conf(unbounded, 50), 0, 1}, {conf(unbounded, 34), 3, 2},
		{conf(ecs.ThresholdTypeCOUNT, 1), 800, 1}, {conf(ecs.ThresholdTypeCOUNT, 1000), 1, 1000},
	} {
		if got := BreakerThreshold(c.desired, c.conf); got != c.want {
			t.Errorf("desired %d, %+v: %d, want %d", c.desired, c.conf, got, c.want)
		}
	}
}
