using System.Globalization;
using Tributary.Branching;
using Tributary.Gateway;
using Tributary.Gateway.Upstreams;

namespace Tributary.Server.Adapters;

/// <summary>Answers the gateway's questions from the branch manager. The gateway knows no branch but by this.</summary>
sealed class BranchUpstreamResolver(BranchManager branches) : IUpstreamResolver
{
    // The SQLSTATEs are those that a Postgres of its own would give: https://www.postgresql.org/docs/current/errcodes-appendix.html
    const string CannotConnectNow = "57P03";
    const string InvalidCatalogName = "3D000";
    const string InvalidAuthorization = "28000";
    const string TooManyConnections = "53300";
    const string DiskFull = "53100";
    const string InternalError = "XX000";

    public ValueTask<BranchCredential?> FindCredentialAsync(string branch, CancellationToken cancellationToken) => ValueTask.FromResult(
        // A branch that is half made or half gone is no branch to a client.
        branches.Find(branch) is { Succeeded: true, Value: { State: BranchState.Ready } found }
            ? new BranchCredential(found.Name.ToString(), branches.PasswordOf(found), Version(found))
            : null);

    public async ValueTask<UpstreamResult> ConnectAsync(string branch, string user, CancellationToken cancellationToken)
    {
        if (!BranchName.TryParse(branch, out var name, out var error))
            return new UpstreamResult(null, InvalidCatalogName, error);
        if (branches.WhyNot(user) is { } refused)
            return new UpstreamResult(null, InvalidAuthorization, refused.Message);
        var lease = await branches.ConnectAsync(name, cancellationToken);
        return lease.Succeeded
            ? new UpstreamResult(new LeasedUpstream(lease.Value), null, null)
            : new UpstreamResult(null, SqlState(lease.Error.Kind), lease.Error.Message);
    }

    // The id tells a branch from an earlier one of its name, the generation one password from the next.
    static string Version(Branch branch) => string.Create(CultureInfo.InvariantCulture, $"{branch.Id}.{branch.Generation}");

    static string SqlState(BranchErrorKind kind) => kind switch
    {
        BranchErrorKind.NotFound or BranchErrorKind.InvalidName => InvalidCatalogName,
        BranchErrorKind.LimitReached => TooManyConnections,
        BranchErrorKind.PoolFull => DiskFull,
        BranchErrorKind.NotReady or BranchErrorKind.ComputeFailed => CannotConnectNow,
        _ => InternalError,
    };

    sealed class LeasedUpstream(ComputeLease lease) : Upstream
    {
        public override string SocketPath => lease.SocketPath;

        public override ValueTask DisposeAsync() => lease.DisposeAsync();
    }
}
