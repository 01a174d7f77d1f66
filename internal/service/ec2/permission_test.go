package ec2

import (
	"reflect"
	"slices"
	"testing"

	"fairlead/internal/api/ec2"
	"fairlead/internal/row"
)

func TestPorts(t *testing.T) {
	for _, test := range []struct {
		protocol string
		from, to int32
		want     row.SecurityGroupRule // no protocol: a fault
	}{
		{"tcp", 80, 80, row.SecurityGroupRule{Protocol: "tcp", From: 80, To: 80}},
		{"TCP", 0, 65535, row.SecurityGroupRule{Protocol: "tcp", From: 0, To: 65535}},
		{"17", 53, 53, row.SecurityGroupRule{Protocol: "udp", From: 53, To: 53}},
		{"all", 80, 90, row.SecurityGroupRule{Protocol: "-1", From: -1, To: -1}},
		{"-1", 0, 0, row.SecurityGroupRule{Protocol: "-1", From: -1, To: -1}},
		{"50", 0, 0, row.SecurityGroupRule{Protocol: "50", From: -1, To: -1}},
		{"icmp", 8, 0, row.SecurityGroupRule{Protocol: "icmp", From: 8, To: 0}},
		{"58", -1, -1, row.SecurityGroupRule{Protocol: "icmpv6", From: -1, To: -1}},
		{"icmp", -1, 3, row.SecurityGroupRule{}},
		{"icmp", 256, 0, row.SecurityGroupRule{}},
		{"tcp", 80, 79, row.SecurityGroupRule{}},
		{"tcp", -1, -1, row.SecurityGroupRule{}},
		{"udp", 0, 65536, row.SecurityGroupRule{}},
		{"256", 0, 0, row.SecurityGroupRule{}},
		{"", 0, 0, row.SecurityGroupRule{}},
	} {
		got, err := asker{}.ports(test.protocol, &test.from, &test.to)
		if err != nil {
			got = row.SecurityGroupRule{}
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s %d-%d: %+v, %v", test.protocol, test.from, test.to, got, err)
		}
	}
}

// FuzzPermission turns a permission into rules and the rules into permissions: the same rules must
// come of them.
func FuzzPermission(f *testing.F) {
	f.Add("tcp", int32(80), int32(80), "10.0.0.0/8", "::/0", "web")
	f.Add("-1", int32(0), int32(0), "0.0.0.0/0", "", "")
	f.Add("icmp", int32(8), int32(-1), "192.0.2.1/32", "2001:db8::/32", "ping")
	f.Add("47", int32(1), int32(2), "192.0.2.77/24", "", "")
	f.Add("6", int32(90), int32(80), "::ffff:1.2.3.4/100", "1.2.3.4/5", "\x00")
	f.Fuzz(func(t *testing.T, protocol string, from, to int32, v4, v6, description string) {
		p := ec2.IpPermission{IpProtocol: &protocol, FromPort: &from, ToPort: &to}
		if v4 != "" {
			p.IpRanges = []ec2.IpRange{{CidrIp: &v4, Description: &description}}
		}
		if v6 != "" {
			p.Ipv6Ranges = []ec2.Ipv6Range{{CidrIpv6: &v6}}
		}
		rules, err := asker{}.rules([]ec2.IpPermission{p})
		if err != nil {
			return
		}
		shown := permissions(row.SecurityGroup{Rules: rules}, false)
		for i := range shown {
			if shown[i].FromPort == nil {
				continue
			}
			if *shown[i].FromPort > *shown[i].ToPort && protocol == "tcp" {
				t.Errorf("ports %d-%d", *shown[i].FromPort, *shown[i].ToPort)
			}
		}
		again, err := asker{}.rules(shown)
		if err != nil {
			t.Fatalf("%+v became %v", rules, err)
		}
		if !slices.EqualFunc(rules, again, sameRule) {
			t.Errorf("%+v became %+v", rules, again)
		}
	})
}

func FuzzCIDR(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/16", "10.1.2.3/8", "::/0", "10.0.0.0", "0.0.0.0/0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseCIDR(text, "cidrBlock")
		if err != nil {
			return
		}
		if again, err := parseCIDR(p.String(), "cidrBlock"); err != nil || again != p {
			t.Errorf("%s became %v, %v", text, again, err)
		}
		if rightSize(p) && following(p).Overlaps(p) {
			t.Errorf("%v is followed by %v", p, following(p))
		}
	})
}
