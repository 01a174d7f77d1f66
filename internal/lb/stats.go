package lb

// Stats are cumulative counters; whoever wants rates takes differences.
type Stats struct {
	LoadBalancers map[string]LoadBalancerStats // by Listener.LoadBalancer
	Groups        map[string]GroupStats        // by Group.ID
	// DroppedRecords counts access-log records that the receiver was too slow for.
	DroppedRecords uint64
}

// LoadBalancerStats are the counters of a load balancer, with the names of CloudWatch.
type LoadBalancerStats struct {
	ActiveConnections int64 // a gauge

	NewConnectionCount             uint64
	RejectedConnectionCount        uint64
	ClientTLSNegotiationErrorCount uint64
	RequestCount                   uint64 // requests for which a target was chosen
	ProcessedBytes                 uint64
	RuleEvaluations                uint64

	ELB3XX, ELB4XX, ELB5XX         uint64 // responses made by the load balancer
	ELB500, ELB502, ELB503, ELB504 uint64

	HTTPRedirectCount                 uint64
	HTTPRedirectURLLimitExceededCount uint64
	HTTPFixedResponseCount            uint64
	DesyncNonCompliantRequestCount    uint64
	DroppedInvalidHeaderRequestCount  uint64
	ForwardedInvalidHeaderCount       uint64
	NonStickyRequestCount             uint64
	LambdaTargetProcessedBytes        uint64

	JWTValidationSuccessCount, JWTValidationFailureCount uint64
}

// GroupStats are the counters of a target group, with the names of CloudWatch.
type GroupStats struct {
	RequestCount                   uint64
	Target2XX, Target3XX           uint64
	Target4XX, Target5XX           uint64
	TargetConnectionErrorCount     uint64
	TargetTLSNegotiationErrorCount uint64
	UnhealthyRoutingRequestCount   uint64
	GrpcRequestCount               uint64
	LambdaUserError                uint64
	LambdaInternalError            uint64
	TargetResponseTime             Histogram
}

// Histogram counts durations in buckets that grow by a quarter of a power of two, from 1 µs on.
type Histogram struct {
	Count   uint64
	Seconds float64 // the sum of all durations
	Buckets [histogramBuckets]uint64
}

// histogramBuckets covers 1 µs to about 4000 s, the longest idle timeout: 4 buckets for each of 32
// powers of two.
const histogramBuckets = 4 * 32
