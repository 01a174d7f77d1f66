// Package acm serves AWS Certificate Manager for certificates that are imported: their PEM is
// checked, stored as one row and shown again; listeners of load balancers use it by its ARN.
//
// What X.509 says about a certificate is read from the PEM whenever it is asked for (x509.go), and
// who uses it is read from the listeners, so neither can be out of date. Private keys go into the
// row and from there into the data plane, and nowhere else.
//
// Texts of errors are Amazon's where one was found in public; a comment marks those that are not.
package acm

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	api "fairlead/internal/api/acm"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// Limits of the API.
const (
	maxTags      = 50   // tags per certificate
	maxPage      = 1000 // certificates in one page of ListCertificates
	maxPerRegion = 2500 // imported certificates per account and region
)

// Service handles the operations.
type Service struct {
	store *state.Store
	now   func() time.Time
}

// New returns the service over the rows of store.
func New(store *state.Store) *Service { return &Service{store: store, now: time.Now} }

// Register makes r serve every operation that the package has.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, api.OpImportCertificate, s.ImportCertificate)
	wire.Handle(r, api.OpRequestCertificate, s.RequestCertificate)
	wire.Handle(r, api.OpDescribeCertificate, s.DescribeCertificate)
	wire.Handle(r, api.OpGetCertificate, s.GetCertificate)
	wire.Handle(r, api.OpListCertificates, s.ListCertificates)
	wire.Handle(r, api.OpDeleteCertificate, s.DeleteCertificate)
	wire.Handle(r, api.OpAddTagsToCertificate, s.AddTagsToCertificate)
	wire.Handle(r, api.OpRemoveTagsFromCertificate, s.RemoveTagsFromCertificate)
	wire.Handle(r, api.OpListTagsForCertificate, s.ListTagsForCertificate)
}

// ImportCertificate stores a certificate with its key and chain, as a new one or in the place of an
// imported one, whose users get the new one without doing anything.
func (s *Service) ImportCertificate(
	ctx context.Context, in *api.ImportCertificateInput,
) (*api.ImportCertificateOutput, error) {
	now := s.now().UTC()
	parsed, err := parseImport(in.Certificate, in.PrivateKey, in.CertificateChain, now)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	caller := aws.CallerFrom(ctx)
	c := row.Certificate{
		Scope: row.ScopeOf(caller), ARN: caller.ARN("acm", "certificate/"+aws.UUID()),
		Type: string(api.CertificateTypeIMPORTED), CreatedAt: now, Tags: tags,
	}
	err = s.store.Update(ctx, func(tx *state.Tx) error {
		if in.CertificateArn != nil {
			if len(tags) > 0 {
				return api.ValidationException("Tagging is not permitted on re-import.")
			}
			if c, err = reimported(tx, *in.CertificateArn, parsed); err != nil {
				return err
			}
		} else if count(row.Certificates.Scan(tx, c.Scope.ARN("acm", "certificate/"))) >= maxPerRegion {
			return api.LimitExceededException( // our own text
				"The maximum number of imported certificates %d has been reached.", maxPerRegion)
		}
		c.PEM, c.Chain, c.PrivateKey = parsed.pem, parsed.chain, row.PrivateKey(in.PrivateKey)
		c.Domain, c.KeyAlgorithm, c.ImportedAt = parsed.domain(), string(parsed.algorithm), &now
		row.Certificates.Put(tx, c)
		return nil
	})
	return &api.ImportCertificateOutput{CertificateArn: &c.ARN}, err
}

// reimported returns the certificate that is to be replaced.
func reimported(r state.Reader, arn string, by imported) (row.Certificate, error) {
	c, err := find(r, arn)
	switch { // our own texts
	case err != nil:
		return c, err
	case c.Type != string(api.CertificateTypeIMPORTED):
		return c, api.ValidationException("Certificate %s was not imported.", arn)
	case c.KeyAlgorithm != string(by.algorithm):
		return c, api.ValidationException(
			"The key algorithm of certificate %s is %s and cannot be changed.", arn, c.KeyAlgorithm)
	}
	return c, nil
}

// RequestCertificate is refused: proving that a domain is the caller's needs Route 53 or mail.
func (s *Service) RequestCertificate(
	context.Context, *api.RequestCertificateInput,
) (*api.RequestCertificateOutput, error) {
	return nil, api.ValidationException("RequestCertificate: not served by Fairlead yet, see " +
		"SCOPE.md; import a certificate instead, 'fairlead cert new' makes one")
}

// GetCertificate returns the certificate and its chain, without the key.
func (s *Service) GetCertificate(
	_ context.Context, in *api.GetCertificateInput,
) (*api.GetCertificateOutput, error) {
	c, err := find(s.store.View(), aws.Val(in.CertificateArn))
	out := &api.GetCertificateOutput{Certificate: &c.PEM}
	if c.Chain != "" {
		out.CertificateChain = &c.Chain
	}
	return out, err
}

// DescribeCertificate shows everything about a certificate but its PEM.
func (s *Service) DescribeCertificate(
	_ context.Context, in *api.DescribeCertificateInput,
) (*api.DescribeCertificateOutput, error) {
	view := s.store.View()
	c, err := find(view, aws.Val(in.CertificateArn))
	if err != nil {
		return nil, err
	}
	detail, err := describe(view, c, s.now())
	return &api.DescribeCertificateOutput{Certificate: detail}, err
}

// ListCertificates lists certificates. Without a filter on key types it leaves out all but RSA keys
// of up to 2048 bits, as AWS does.
func (s *Service) ListCertificates(
	ctx context.Context, in *api.ListCertificatesInput,
) (*api.ListCertificatesOutput, error) {
	if (in.SortBy == "") != (in.SortOrder == "") { // our own text
		return nil, api.ValidationException("SortBy and SortOrder must be specified together.")
	}
	view, scope := s.store.View(), row.ScopeOf(aws.CallerFrom(ctx))
	all := []api.CertificateSummary{}
	for c := range row.Certificates.Scan(view, scope.ARN("acm", "certificate/")) {
		summary, err := summarize(view, c, s.now())
		if err != nil {
			return nil, err
		}
		if listed(summary, in) {
			all = append(all, summary)
		}
	}
	if in.SortOrder != "" {
		slices.SortStableFunc(all, func(a, b api.CertificateSummary) int {
			return a.CreatedAt.Compare(*b.CreatedAt)
		})
	}
	if in.SortOrder == api.SortOrderDESCENDING {
		slices.Reverse(all)
	}
	page, next, err := paginate(all, in.NextToken, aws.Or(in.MaxItems, maxPage))
	return &api.ListCertificatesOutput{CertificateSummaryList: page, NextToken: next}, err
}

func listed(c api.CertificateSummary, in *api.ListCertificatesInput) bool {
	f := aws.Val(in.Includes)
	types := f.KeyTypes
	if len(types) == 0 {
		types = []api.KeyAlgorithm{api.KeyAlgorithmRSA1024, api.KeyAlgorithmRSA2048}
	}
	some := func(match bool, empty bool) bool { return empty || match }
	return slices.Contains(types, c.KeyAlgorithm) &&
		some(slices.Contains(in.CertificateStatuses, c.Status), len(in.CertificateStatuses) == 0) &&
		some(intersect(f.KeyUsage, c.KeyUsages), len(f.KeyUsage) == 0) &&
		some(intersect(f.ExtendedKeyUsage, c.ExtendedKeyUsages), len(f.ExtendedKeyUsage) == 0) &&
		some(f.ExportOption == api.CertificateExportDISABLED, f.ExportOption == "") &&
		f.ManagedBy == ""
}

func intersect[T comparable](a, b []T) bool {
	return slices.ContainsFunc(a, func(v T) bool { return slices.Contains(b, v) })
}

// paginate cuts the page out of items that begins at the token, which is a position in the list.
func paginate[T any](items []T, token *string, size int32) ([]T, *string, error) {
	from := 0
	if token != nil {
		raw, err := base64.RawURLEncoding.DecodeString(*token)
		from, _ = strconv.Atoi(string(raw))
		if err != nil || from <= 0 {
			return nil, nil, api.ValidationException("The NextToken is not valid.") // our own text
		}
	}
	from = min(from, len(items))
	to := min(from+int(size), len(items))
	if to == len(items) {
		return items[from:], nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
	return items[from:to], &next, nil
}

// DeleteCertificate deletes a certificate that no listener uses.
func (s *Service) DeleteCertificate(
	ctx context.Context, in *api.DeleteCertificateInput,
) (*api.DeleteCertificateOutput, error) {
	return &api.DeleteCertificateOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		c, err := find(tx, aws.Val(in.CertificateArn))
		if err != nil {
			return err
		}
		if len(usersOf(tx, c.ARN)) > 0 {
			return api.ResourceInUseException("Certificate %s in account %s is in use.", c.ARN, c.Account)
		}
		row.Certificates.Delete(tx, c.ARN)
		return nil
	})
}

// usersOf lists the ARNs of the load balancers with a listener that uses the certificate.
func usersOf(r state.Reader, arn string) []string {
	users := []string{}
	for l := range row.Listeners.By(r, "certificate", arn) {
		if !slices.Contains(users, l.LoadBalancer) {
			users = append(users, l.LoadBalancer)
		}
	}
	return users
}

// find returns the certificate with the ARN.
func find(r state.Reader, arn string) (row.Certificate, error) {
	parsed, ok := aws.ParseARN(arn)
	if !ok || parsed.Service != "acm" { // our own text
		return row.Certificate{}, api.InvalidArnException("The ARN %s is not valid.", arn)
	}
	c, ok := row.Certificates.Get(r, arn)
	if !ok {
		return c, api.ResourceNotFoundException(
			"Could not find certificate %s in account %s.", arn, parsed.Account) // from memory
	}
	return c, nil
}

func count[T any](seq func(yield func(T) bool)) (n int) {
	for range seq {
		n++
	}
	return n
}
