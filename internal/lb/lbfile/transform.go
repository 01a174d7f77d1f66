package lbfile

import "fairlead/internal/lb"

// Transform rewrites requests before they go to a target.
type Transform struct {
	Type    string `json:"type" doc:"host-header-rewrite or url-rewrite, the path with the query"`
	Regex   string `json:"regex" doc:"regular expression, in the syntax of RE2"`
	Replace string `json:"replace" doc:"instead of its first match; $1 is the first group, $$ a dollar sign"`
}

func (t Transform) spec() lb.Transform {
	return lb.Transform{Type: lb.TransformType(t.Type), Regex: t.Regex, Replace: t.Replace}
}
