package elb

import "fairlead/internal/row"

// Keys of load balancer attributes.
const (
	DeletionProtection   = "deletion_protection.enabled"
	IdleTimeout          = "idle_timeout.timeout_seconds"
	ClientKeepAlive      = "client_keep_alive.seconds"
	DesyncMitigationMode = "routing.http.desync_mitigation_mode"
	DropInvalidHeaders   = "routing.http.drop_invalid_header_fields.enabled"
	PreserveHostHeader   = "routing.http.preserve_host_header.enabled"
	TLSHeaders           = "routing.http.x_amzn_tls_version_and_cipher_suite.enabled"
	XFFClientPort        = "routing.http.xff_client_port.enabled"
	XFFProcessingMode    = "routing.http.xff_header_processing.mode"
	HTTP2                = "routing.http2.enabled"
)

// OfBalancer lists the attributes of an Application Load Balancer. See
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
func OfBalancer(b row.LoadBalancer) Attributes {
	denyIGW := "false"
	if b.Internal() {
		denyIGW = "true"
	}
	return Attributes{
		{"access_logs.s3.enabled", "false", only("false")},
		{"access_logs.s3.bucket", "", anything},
		{"access_logs.s3.prefix", "", anything},
		{ClientKeepAlive, "3600", between(60, 604800)},
		{"connection_logs.s3.enabled", "false", only("false")},
		{"connection_logs.s3.bucket", "", anything},
		{"connection_logs.s3.prefix", "", anything},
		{DeletionProtection, "false", isBoolean},
		{"health_check_logs.s3.enabled", "false", only("false")},
		{"health_check_logs.s3.bucket", "", anything},
		{"health_check_logs.s3.prefix", "", anything},
		{IdleTimeout, "60", between(1, 4000)},
		{"ipv6.deny_all_igw_traffic", denyIGW, only(denyIGW)},
		{"load_balancing.cross_zone.enabled", "true", only("true")},
		{DesyncMitigationMode, "defensive", oneOf("monitor", "defensive", "strictest")},
		{DropInvalidHeaders, "false", isBoolean},
		{PreserveHostHeader, "false", isBoolean},
		{TLSHeaders, "false", isBoolean},
		{XFFClientPort, "false", isBoolean},
		{XFFProcessingMode, "append", oneOf("append", "preserve", "remove")},
		{HTTP2, "true", isBoolean},
		{"waf.fail_open.enabled", "false", only("false")},
		{"zonal_shift.config.enabled", "false", only("false")},
	}
}
