package plan

import (
	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
)

// Limits of the circuit breaker's threshold.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
const (
	minBreakerThreshold = 3
	maxBreakerThreshold = 200
	// defaultBreakerPercent of the desired count is the threshold of a breaker that states none.
	defaultBreakerPercent = 50
)

// BreakerThreshold is how many failures end a deployment: a count, or a percentage of the desired
// count that the service has by now. Without a configuration it is half of the desired count,
// within bounds. It is never below one, or a service scaled to 0 would fail at once.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ThresholdConfiguration.html
func BreakerThreshold(desired int, conf *ecs.ThresholdConfiguration) int {
	value := int(defaultBreakerPercent)
	if conf != nil {
		value = int(aws.Val(conf.Value))
	}
	percent := percentUp(desired, value)
	switch aws.Val(conf).Type {
	case ecs.ThresholdTypeCOUNT:
		return max(value, 1)
	case ecs.ThresholdTypeUNBOUNDEDPERCENT:
		return max(percent, 1)
	}
	return min(max(percent, minBreakerThreshold), maxBreakerThreshold)
}

// breaker is the service's circuit breaker; one that is off if it has none.
func (p *planner) breaker() ecs.DeploymentCircuitBreaker {
	return aws.Val(p.in.Service.Configuration.DeploymentCircuitBreaker)
}

// forgives tells whether a healthy task ends its deployment's row of failures, which only a circuit
// breaker that counts all failures of a deployment denies.
func (p *planner) forgives() bool {
	b := p.breaker()
	return !aws.Val(b.Enable) || aws.Or(b.ResetOnHealthyTask, true)
}
