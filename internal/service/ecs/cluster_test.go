package ecs_test

import "testing"

func TestClusterLife(t *testing.T) {
	w := newWorld(t)
	w.refused("ListServices", `{}`, "ClusterNotFoundException", "Cluster not found.")
	want(t, w.ok("DescribeClusters", `{}`), map[string]string{
		"clusters": `[]`,
		"failures": `[{"arn":"arn:aws:ecs:eu-west-1:123456789012:cluster/default","reason":"MISSING"}]`,
	})
	created := w.ok("CreateCluster", `{"clusterName":"c","tags":[{"key":"a","value":"b"}]}`)
	want(t, created, map[string]string{
		"cluster.clusterArn": `"arn:aws:ecs:eu-west-1:123456789012:cluster/c"`,
		"cluster.status":     `"ACTIVE"`,
		"cluster.settings":   `[{"name":"containerInsights","value":"disabled"}]`,
		"cluster.tags":       `[{"key":"a","value":"b"}]`,
	})
	want(t, w.ok("CreateCluster", `{"clusterName":"c"}`), // the same again
		map[string]string{"cluster.tags": `[{"key":"a","value":"b"}]`})
	want(t, w.ok("DescribeClusters", `{"clusters":["c"]}`),
		map[string]string{"clusters.0.settings": `[]`, "clusters.0.tags": `[]`})
	want(t, w.ok("DeleteCluster", `{"cluster":"c"}`), map[string]string{"cluster.status": `"INACTIVE"`})
	want(t, w.ok("ListClusters", `{}`), map[string]string{"clusterArns": `[]`})
	w.refused("ListServices", `{"cluster":"c"}`,
		"ClusterNotFoundException", "The referenced cluster was inactive.")
	want(t, w.ok("CreateCluster", `{"clusterName":"c"}`),
		map[string]string{"cluster.status": `"ACTIVE"`, "cluster.tags": `[]`})
}

func TestClusterCapacityProviders(t *testing.T) {
	w := newWorld(t)
	w.ok("CreateCluster", `{"clusterName":"c"}`)
	want(t, w.ok("PutClusterCapacityProviders", `{"cluster":"c","capacityProviders":["FARGATE"],
		"defaultCapacityProviderStrategy":[{"capacityProvider":"FARGATE","weight":1}]}`),
		map[string]string{"cluster.capacityProviders": `["FARGATE"]`})
	w.ok("RegisterTaskDefinition", fargate(""))
	body := replace(t, service(""), `"launchType":"FARGATE",`, ``)
	want(t, w.ok("CreateService", body), map[string]string{
		"service.launchType":               `null`,
		"service.capacityProviderStrategy": `[{"capacityProvider":"FARGATE","weight":1}]`,
	})
	w.refused("PutClusterCapacityProviders",
		`{"cluster":"c","capacityProviders":[],"defaultCapacityProviderStrategy":[]}`,
		"ResourceInUseException", "")
	for name, c := range map[string]struct{ strategy, message string }{
		"unknown": {`{"capacityProvider":"x","weight":1}`, "The specified capacity provider strategy"},
		"weights": {`{"capacityProvider":"FARGATE"}`, "There are no capacity providers in the capacity provider strategy with a weight value greater than zero"},
	} {
		t.Run(name, func(t *testing.T) {
			w.refused("PutClusterCapacityProviders", `{"cluster":"c","capacityProviders":["FARGATE"],
				"defaultCapacityProviderStrategy":[`+c.strategy+`]}`, "InvalidParameterException", c.message)
		})
	}
}

func TestUnservedClusterSettings(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		`{"settings":[{"name":"containerInsights","value":"enabled"}]}`,
		`{"configuration":{"executeCommandConfiguration":{"logging":"DEFAULT"}}}`,
		`{"serviceConnectDefaults":{"namespace":"n"}}`,
	} {
		w.refused("CreateCluster", body, "UnsupportedFeatureException", "Fairlead does not serve")
	}
}

func TestTags(t *testing.T) {
	w := populated(t)
	const arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/c"
	w.ok("TagResource", `{"resourceArn":"`+arn+`","tags":[{"key":"b","value":"2"},{"key":"a","value":"1"}]}`)
	w.ok("UntagResource", `{"resourceArn":"`+arn+`","tagKeys":["b"]}`)
	want(t, w.ok("ListTagsForResource", `{"resourceArn":"`+arn+`"}`),
		map[string]string{"tags": `[{"key":"a","value":"1"}]`})
	w.refused("TagResource", `{"resourceArn":"`+arn+`","tags":[{"key":"aws:x","value":"1"}]}`,
		"InvalidParameterException", "Tag keys beginning with 'aws:' are reserved")
	w.refused("TagResource", `{"resourceArn":"arn:aws:ecs:eu-west-1:123456789012:service/s","tags":[]}`,
		"InvalidParameterException", "Long arn format must be used for tagging operations")
}

func TestAccountSettings(t *testing.T) {
	w := newWorld(t)
	w.ok("PutAccountSetting", `{"name":"taskLongArnFormat","value":"enabled"}`)
	want(t, w.ok("ListAccountSettings", `{}`), map[string]string{
		"settings": `[{"name":"taskLongArnFormat","value":"enabled","type":"user",
			"principalArn":"arn:aws:iam::123456789012:root"}]`,
	})
	w.refused("PutAccountSetting", `{"name":"containerInsights","value":"enabled"}`,
		"UnsupportedFeatureException", "")
	effective := w.ok("ListAccountSettings", `{"effectiveSettings":true,"name":"containerInsights"}`)
	want(t, effective, map[string]string{"settings.0.value": `"disabled"`})
}
