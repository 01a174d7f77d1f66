package elb

import (
	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/lb/jwt"
)

// TokenPolicy is what an action jwt-validation asks of tokens.
func TokenPolicy(c *api.JwtValidationActionConfig) *jwt.Policy {
	p := &jwt.Policy{JWKSEndpoint: aws.Val(c.JwksEndpoint), Issuer: aws.Val(c.Issuer)}
	for _, claim := range c.AdditionalClaims {
		p.AdditionalClaims = append(p.AdditionalClaims, jwt.Claim{
			Name: aws.Val(claim.Name), Format: jwt.Format(claim.Format), Values: claim.Values,
		})
	}
	return p
}
