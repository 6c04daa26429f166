using System.Globalization;
using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Api;

/// <summary>A branch as the API shows it, with the way in.</summary>
static class BranchView
{
    /// <summary>What made a branch slower to make than it need be; null when nothing did.</summary>
    public static string? NoteOf(Branch branch, BranchingPart branching) =>
        branch.Origin == Branching.BranchOrigin.Now && branching.Options is { SparesWanted: 0, Following: not FollowingMode.None }
            ? "no spare is kept (branching.spares: 0), so a copy of main was recovered for it; with one it takes a fraction of that"
            : null;

    /// <param name="gateway">Where the gateway listens; a wildcard address is shown as loopback.</param>
    /// <param name="usage">Null when the pool was not measured.</param>
    public static BranchResponse Of(Branch branch, BranchingPart branching, GatewayStatusResponse gateway, BranchUsage? usage, TimeSpan? took = null)
    {
        var name = branch.Name.ToString();
        var host = gateway.Host is null or "0.0.0.0" or "::" ? "127.0.0.1" : gateway.Host;
        var port = gateway.Port ?? 0;
        var user = branching.Options.OwnerRole;
        var database = branching.Options.Database;
        var url = string.Create(
            CultureInfo.InvariantCulture,
            $"postgresql://{Escape(user)}:{Escape(branching.Manager.PasswordOf(branch))}@{(host.Contains(':') ? $"[{host}]" : host)}:{port}/{Escape(database)}?options=branch%3D{Escape(name)}");
        return new BranchResponse
        {
            Id = branch.Id,
            Name = name,
            State = branch.State switch
            {
                BranchState.Creating => BranchLife.Creating,
                BranchState.Deleting => BranchLife.Deleting,
                BranchState.Deleted => BranchLife.Deleted,
                _ => BranchLife.Ready,
            },
            Compute = branch.Compute switch
            {
                ComputeState.Starting => BranchCompute.Starting,
                ComputeState.Running => BranchCompute.Running,
                ComputeState.Stopping => BranchCompute.Stopping,
                _ => BranchCompute.Asleep,
            },
            Lsn = branch.Lsn.ToString(),
            DataTime = branch.DataTime,
            // Two clocks' readings of one machine may be a hair apart the wrong way.
            DataAgeMs = Math.Max(0, (long)((branch.ResetAt ?? branch.CreatedAt) - branch.DataTime).TotalMilliseconds),
            CreatedAt = branch.CreatedAt,
            Origin = branch.Origin switch
            {
                Branching.BranchOrigin.Now => Contracts.BranchOrigin.Now,
                Branching.BranchOrigin.Point => Contracts.BranchOrigin.Point,
                Branching.BranchOrigin.Branch => Contracts.BranchOrigin.Branch,
                _ => Contracts.BranchOrigin.Seed,
            },
            Parent = branching.Manager.ParentOf(branch)?.ToString(),
            ParentId = branch.ParentId,
            Owner = branch.Policy.Owner,
            Labels = branch.Policy.Labels,
            Folder = $"b{branch.Number}",
            Protected = branch.Policy.IsProtected,
            TtlSeconds = branch.Policy.Ttl?.TotalSeconds,
            TtlFrom = branch.Policy.Ttl is null ? null : branch.Policy.TtlFrom == TtlStart.LastUse ? BranchTtlStart.LastUse : BranchTtlStart.Creation,
            ExpiresAt = branch.ExpiresAt,
            Durability = branch.Policy.Durability == Durability.Durable ? BranchDurability.Durable : BranchDurability.Ephemeral,
            Settings = branch.Policy.Settings,
            BirthKept = branch.Birth is not null,
            ResetAt = branch.ResetAt,
            DeletedAt = branch.DeletedAt,
            LastUsedAt = branch.LastUsedAt,
            RunSeconds = Math.Round(branch.Usage.RunTime.TotalSeconds, 1),
            CpuSeconds = Math.Round(branch.Usage.CpuTime.TotalSeconds, 2),
            ConnectionsTotal = branch.Usage.Connections,
            SeedId = branch.SeedId.Length > 0 ? branch.SeedId : null,
            Connections = branch.Connections,
            ExclusiveBytes = usage?.ExclusiveBytes,
            TotalBytes = usage?.TotalBytes,
            Host = host,
            Port = port,
            User = user,
            Database = database,
            Url = url,
            Psql = $"psql '{url}'",
            CreateMs = took?.TotalMilliseconds,
        };
    }

    static string Escape(string text) => Uri.EscapeDataString(text);
}
