using System.Collections.Frozen;
using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Api;

/// <summary>Turns what a client asks for into what the branch manager takes, or says what of it cannot be.</summary>
static class BranchRequests
{
    /// <param name="name">The name that was given, or one that was made.</param>
    public static BranchRequest Of(BranchName name, BranchCreateRequest request, BranchPolicy policy) =>
        new(name, request.From is not null ? Branching.BranchOrigin.Branch
            : request.At is not null ? Branching.BranchOrigin.Point
            : request.FromSeed ? Branching.BranchOrigin.Seed
            : Branching.BranchOrigin.Now)
        {
            Parent = request.From,
            Point = request.At is { } at && BranchPoint.TryParse(at, out var point, out _) ? point : null,
            IdempotencyKey = request.IdempotencyKey,
            Policy = policy,
        };

    /// <summary>The policy that a creation asks for; null with what is wrong.</summary>
    public static BranchPolicy? PolicyOf(BranchCreateRequest request, out string? error)
    {
        if ((request.FromSeed ? 1 : 0) + (request.From is null ? 0 : 1) + (request.At is null ? 0 : 1) > 1)
        {
            error = "a branch is of the newest seed, of a branch, or of a moment; give one of fromSeed, from and at";
            return null;
        }

        if (request.At is { } at && !BranchPoint.TryParse(at, out _, out error))
            return null;

        return Apply(
            BranchPolicy.Default,
            new BranchUpdateRequest
            {
                Owner = request.Owner,
                Labels = request.Labels?.ToDictionary(label => label.Key, string? (label) => label.Value),
                Protected = request.Protected,
                TtlSeconds = request.TtlSeconds,
                TtlFrom = request.TtlFrom,
                Durability = request.Durability,
                Settings = request.Settings?.ToDictionary(setting => setting.Key, string? (setting) => setting.Value),
            },
            out error);
    }

    /// <summary>The policy with the changes; null with what is wrong.</summary>
    public static BranchPolicy? Apply(BranchPolicy policy, BranchUpdateRequest request, out string? error)
    {
        error = null;
        if (request.TtlSeconds is { } seconds && !(seconds >= 0 && seconds <= TimeSpan.MaxValue.TotalSeconds / 2))
            error = "ttlSeconds is a number of seconds, or 0 for no end";
        var settings = policy.Settings;
        if (error is not null || (request.Settings is not null && !BranchSettings.TryParse(
            Merge(settings, request.Settings).Select(setting => $"{setting.Key}={setting.Value}"), out settings, out error)))
        {
            return null;
        }

        var changed = policy with
        {
            Owner = request.Owner switch { null => policy.Owner, "" => null, var owner => owner },
            Labels = Merge(policy.Labels, request.Labels),
            IsProtected = request.Protected ?? policy.IsProtected,
            Ttl = request.TtlSeconds switch { null => policy.Ttl, 0 => null, var ttl => TimeSpan.FromSeconds(ttl.Value) },
            TtlFrom = request.TtlFrom switch { null => policy.TtlFrom, BranchTtlStart.LastUse => TtlStart.LastUse, _ => TtlStart.Creation },
            Durability = request.Durability switch { null => policy.Durability, BranchDurability.Durable => Durability.Durable, _ => Durability.Ephemeral },
            Settings = settings,
        };
        error = changed.Problem();
        return error is null ? changed : null;
    }

    static IReadOnlyDictionary<string, string> Merge(IReadOnlyDictionary<string, string> before, IReadOnlyDictionary<string, string?>? changes)
    {
        if (changes is null)
            return before;
        var merged = before.ToDictionary(StringComparer.Ordinal);
        foreach (var (key, value) in changes)
        {
            merged.Remove(key);
            if (value is not null)
                merged[key] = value;
        }

        return merged.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
