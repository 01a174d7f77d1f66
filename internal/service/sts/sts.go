// Package sts serves the AWS Security Token Service: who calls, and temporary credentials. Trust
// policies and session policies are not evaluated: any caller may assume any role of its own
// account. README.md lists the operations.
package sts

import (
	"context"
	"net/http"
	"strings"
	"time"

	api "fairlead/internal/api/sts"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// Service holds the handlers of STS.
type Service struct {
	store *state.Store
	now   func() time.Time
}

// New returns the handlers over a store that was opened with row.Tables.
func New(store *state.Store) *Service { return &Service{store: store, now: time.Now} }

// Register adds the handlers to the router.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, api.OpGetCallerIdentity, s.GetCallerIdentity)
	wire.Handle(r, api.OpGetAccessKeyInfo, s.GetAccessKeyInfo)
	wire.Handle(r, api.OpGetSessionToken, s.GetSessionToken)
	wire.Handle(r, api.OpAssumeRole, s.AssumeRole)
}

// Lookup finds the key of a session, for [wire.Config].
func (s *Service) Lookup(_ context.Context, accessKey string) (wire.Key, bool) {
	session, ok := row.Sessions.Get(s.store.View(), accessKey)
	return wire.Key{
		Secret:       session.Secret,
		Account:      session.Account,
		SessionToken: session.Token,
		Expires:      session.Expires,
	}, ok
}

// GetCallerIdentity says who calls: a role's session, or else the account's root.
func (s *Service) GetCallerIdentity(
	ctx context.Context, _ *api.GetCallerIdentityInput,
) (*api.GetCallerIdentityOutput, error) {
	caller := s.caller(ctx)
	return &api.GetCallerIdentityOutput{
		Account: &caller.Account,
		Arn:     new(caller.ARN()),
		UserId:  new(userID(caller)),
	}, nil
}

// caller is the session that the caller acts in; one of the root's when it acts in none.
func (s *Service) caller(ctx context.Context) row.Session {
	c := aws.CallerFrom(ctx)
	session, ok := row.Sessions.Get(s.store.View(), c.AccessKey)
	if !ok {
		return row.Session{Account: c.Account}
	}
	return session
}

func userID(s row.Session) string {
	if s.RoleID == "" {
		return s.Account
	}
	return s.RoleID + ":" + s.SessionName
}

// GetAccessKeyInfo tells the account of a session's access key, and of keys that name one.
func (s *Service) GetAccessKeyInfo(
	ctx context.Context, in *api.GetAccessKeyInfoInput,
) (*api.GetAccessKeyInfoOutput, error) {
	c := aws.CallerFrom(ctx)
	if session, ok := row.Sessions.Get(s.store.View(), *in.AccessKeyId); ok {
		return &api.GetAccessKeyInfoOutput{Account: &session.Account}, nil
	}
	if *in.AccessKeyId == c.AccessKey {
		return &api.GetAccessKeyInfoOutput{Account: &c.Account}, nil
	}
	return nil, invalid("The access key %s is not known", *in.AccessKeyId)
}

// Lifetimes of sessions in seconds.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
const (
	defaultSession = 43200 // of GetSessionToken
	defaultRole    = 3600  // of AssumeRole
)

// GetSessionToken gives the caller temporary credentials of its own.
func (s *Service) GetSessionToken(
	ctx context.Context, in *api.GetSessionTokenInput,
) (*api.GetSessionTokenOutput, error) {
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, unserved("MFA")
	}
	caller := s.caller(ctx)
	if caller.RoleID != "" {
		return nil, denied("Cannot call GetSessionToken with session credentials")
	}
	seconds := aws.Or(in.DurationSeconds, defaultSession)
	session, err := s.issue(ctx, row.Session{Account: caller.Account}, seconds)
	if err != nil {
		return nil, err
	}
	return &api.GetSessionTokenOutput{Credentials: credentials(session)}, nil
}

// AssumeRole gives credentials of a role. The role's trust policy is not evaluated.
func (s *Service) AssumeRole(
	ctx context.Context, in *api.AssumeRoleInput,
) (*api.AssumeRoleOutput, error) {
	if err := refuse(in); err != nil {
		return nil, err
	}
	caller := s.caller(ctx)
	role, ok := s.role(*in.RoleArn)
	if !ok || role.Account != caller.Account || role.Service != "" {
		return nil, denied("User: %s is not authorized to perform: sts:AssumeRole on resource: %s",
			caller.ARN(), *in.RoleArn)
	}
	seconds := aws.Or(in.DurationSeconds, defaultRole)
	if seconds > role.MaxSession {
		return nil, invalid(
			"The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	session, err := s.issue(ctx, row.Session{
		Account: role.Account, RoleName: role.Name, RoleID: role.ID, SessionName: *in.RoleSessionName,
	}, seconds)
	if err != nil {
		return nil, err
	}
	return &api.AssumeRoleOutput{
		AssumedRoleUser: &api.AssumedRoleUser{
			Arn: new(session.ARN()), AssumedRoleId: new(userID(session)),
		},
		Credentials:    credentials(session),
		SourceIdentity: in.SourceIdentity,
	}, nil
}

// refuse names the settings that only an evaluation of policies could honour.
func refuse(in *api.AssumeRoleInput) error {
	switch {
	case in.Policy != nil, in.PolicyArns != nil:
		return unserved("A session policy")
	case in.SerialNumber != nil, in.TokenCode != nil:
		return unserved("MFA")
	case in.ProvidedContexts != nil:
		return unserved("ProvidedContexts")
	case in.Tags != nil, in.TransitiveTagKeys != nil:
		return unserved("A session tag")
	}
	return nil
}

func (s *Service) role(arn string) (row.Role, bool) {
	a, ok := aws.ParseARN(arn)
	if !ok {
		return row.Role{}, false
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	role, ok := row.Roles.Get(s.store.View(), row.RoleKey(a.Account, name))
	return role, ok && role.ARN() == arn
}

// AssumeFor gives credentials of a role to a task of the role's account, as ECS does; session names
// the session. They are good for an hour: who needs more asks again in time.
func (s *Service) AssumeFor(
	ctx context.Context, account, roleARN, session string,
) (row.Session, error) {
	role, ok := s.role(roleARN)
	if !ok || role.Account != account {
		return row.Session{}, denied("ECS was unable to assume the role '%s' that was provided for "+
			"this task.", roleARN)
	}
	return s.issue(ctx, row.Session{
		Account: account, RoleName: role.Name, RoleID: role.ID, SessionName: session,
	}, defaultRole)
}

const (
	keyAlphabet    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	secretAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)

// issue stores a session with new credentials, and forgets those that have expired.
func (s *Service) issue(
	ctx context.Context, session row.Session, seconds int32,
) (row.Session, error) {
	now := s.now().UTC().Truncate(time.Second)
	session.AccessKey = "ASIA" + aws.Random(keyAlphabet, 16)
	session.Secret = aws.Random(secretAlphabet, 40)
	session.Token = aws.Random(secretAlphabet, 352)
	session.Expires = now.Add(time.Duration(seconds) * time.Second)
	err := s.store.Update(ctx, func(tx *state.Tx) error {
		for old := range row.Sessions.Scan(tx, "") {
			if now.After(old.Expires) {
				row.Sessions.Delete(tx, old.Key())
			}
		}
		row.Sessions.Put(tx, session)
		return nil
	})
	return session, err
}

func credentials(s row.Session) *api.Credentials {
	return &api.Credentials{
		AccessKeyId:     &s.AccessKey,
		SecretAccessKey: &s.Secret,
		SessionToken:    &s.Token,
		Expiration:      &s.Expires,
	}
}

func denied(format string, args ...any) *aws.Fault {
	return aws.NewFaultStatus("AccessDenied", http.StatusForbidden, format, args...)
}

func invalid(format string, args ...any) *aws.Fault {
	return aws.NewFault("ValidationError", format, args...)
}

func unserved(what string) *aws.Fault {
	return invalid("%s is not served by Fairlead yet; SCOPE.md lists what is", what)
}
