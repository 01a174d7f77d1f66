package elb

import (
	"strings"

	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// Keys of listener attributes.
const (
	TLSVersionHeader = "routing.http.request.x_amzn_tls_version.header_name"
	TLSCipherHeader  = "routing.http.request.x_amzn_tls_cipher_suite.header_name"
	ServerHeader     = "routing.http.response.server.enabled"
)

// Limits of the values of listener attributes, in bytes.
const (
	maxHeaderValue = 1024
	maxHeaderName  = 40
)

// ResponseHeaders are the attributes that set a header in every response of a listener, by the name
// of the header.
var responseHeaders = [...]struct{ key, name string }{
	{"routing.http.response.access_control_allow_credentials.header_value", "Access-Control-Allow-Credentials"},
	{"routing.http.response.access_control_allow_headers.header_value", "Access-Control-Allow-Headers"},
	{"routing.http.response.access_control_allow_methods.header_value", "Access-Control-Allow-Methods"},
	{"routing.http.response.access_control_allow_origin.header_value", "Access-Control-Allow-Origin"},
	{"routing.http.response.access_control_expose_headers.header_value", "Access-Control-Expose-Headers"},
	{"routing.http.response.access_control_max_age.header_value", "Access-Control-Max-Age"},
	{"routing.http.response.content_security_policy.header_value", "Content-Security-Policy"},
	{"routing.http.response.strict_transport_security.header_value", "Strict-Transport-Security"},
	{"routing.http.response.x_content_type_options.header_value", "X-Content-Type-Options"},
	{"routing.http.response.x_frame_options.header_value", "X-Frame-Options"},
}

// OfListener lists the attributes of an HTTP or HTTPS listener. See
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ListenerAttribute.html
func OfListener(l row.Listener) Attributes {
	var all Attributes
	if l.Protocol == "HTTPS" {
		for _, field := range []string{"", "_issuer", "_leaf", "_serial_number", "_subject", "_validity"} {
			header := titled("X-Amzn-Mtls-Clientcert" + strings.ReplaceAll(field, "_", "-"))
			key := "routing.http.request.x_amzn_mtls_clientcert" + field + ".header_name"
			all = append(all, Attribute{key, header, only(header)})
		}
		all = append(all,
			Attribute{TLSVersionHeader, "X-Amzn-Tls-Version", isHeaderName},
			Attribute{TLSCipherHeader, "X-Amzn-Tls-Cipher-Suite", isHeaderName})
	}
	for _, h := range responseHeaders {
		all = append(all, Attribute{h.key, "", isHeaderValue})
	}
	return append(all, Attribute{ServerHeader, "true", isBoolean})
}

// Header is one header field.
type Header struct{ Name, Value string }

// ResponseHeaders returns the headers that a listener sets in every response.
func ResponseHeaders(values Values) []Header {
	var headers []Header
	for _, h := range responseHeaders {
		if v := values[h.key]; v != "" {
			headers = append(headers, Header{h.name, v})
		}
	}
	return headers
}

func titled(name string) string {
	words := strings.Split(name, "-")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "-")
}

func isHeaderName(key, value string) *aws.Fault {
	if value != "" && len(value) <= maxHeaderName && !strings.ContainsFunc(value, notInHeaderName) {
		return nil
	}
	return invalid("'%s' value '%s' is not a valid header name", key, value) // our own text
}

func notInHeaderName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
		strings.ContainsRune("-_", r))
}

// isHeaderValue permits the characters that the guide lists for header modification.
func isHeaderValue(key, value string) *aws.Fault {
	if len(value) <= maxHeaderValue && !strings.ContainsFunc(value, notInHeaderValue) {
		return nil
	}
	return invalid("'%s' value '%s' is not a valid header value", key, value) // our own text
}

func notInHeaderValue(r rune) bool {
	return notInHeaderName(r) && !strings.ContainsRune(" :;.,\\/'\"?!(){}[]@<>=+*#&`|~^%$", r)
}
