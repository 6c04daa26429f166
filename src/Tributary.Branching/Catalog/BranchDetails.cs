using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tributary.Branching.Catalog;

/// <summary>
/// What of a branch is never looked up by, in one column of JSON: a catalog of an earlier version lacks members, and each then has the
/// value that was true at the time.
/// </summary>
internal sealed record BranchDetails
{
    public long? Number { get; init; }

    public long? Parent { get; init; }

    public string? Birth { get; init; }

    public string? Owner { get; init; }

    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    public bool Protected { get; init; }

    public TimeSpan? Ttl { get; init; }

    public TtlStart TtlFrom { get; init; }

    public Durability Durability { get; init; }

    public IReadOnlyDictionary<string, string>? Settings { get; init; }

    public string? UnsettledBoot { get; init; }

    public DateTimeOffset? DeletedAt { get; init; }

    public DateTimeOffset? ResetAt { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }

    public ComputeUsage? Usage { get; init; }

    public static string Write(Branch branch) => JsonSerializer.Serialize(
        new BranchDetails
        {
            Number = branch.Number,
            Parent = branch.ParentId,
            Birth = branch.Birth,
            Owner = branch.Policy.Owner,
            Labels = branch.Policy.Labels.Count > 0 ? branch.Policy.Labels : null,
            Protected = branch.Policy.IsProtected,
            Ttl = branch.Policy.Ttl,
            TtlFrom = branch.Policy.TtlFrom,
            Durability = branch.Policy.Durability,
            Settings = branch.Policy.Settings.Count > 0 ? branch.Policy.Settings : null,
            UnsettledBoot = branch.UnsettledBoot,
            DeletedAt = branch.DeletedAt,
            ResetAt = branch.ResetAt,
            LastUsedAt = branch.LastUsedAt,
            Usage = branch.Usage,
        },
        CatalogJson.Default.BranchDetails);

    /// <summary>The branch with what the column says.</summary>
    public static Branch Read(Branch branch, string json)
    {
        var details = JsonSerializer.Deserialize(json, CatalogJson.Default.BranchDetails) ?? new BranchDetails();
        return branch with
        {
            Number = details.Number ?? branch.Id,
            ParentId = details.Parent,
            Birth = details.Birth,
            Policy = new BranchPolicy
            {
                Owner = details.Owner,
                Labels = details.Labels ?? BranchPolicy.Default.Labels,
                IsProtected = details.Protected,
                Ttl = details.Ttl,
                TtlFrom = details.TtlFrom,
                Durability = details.Durability,
                Settings = details.Settings ?? BranchPolicy.Default.Settings,
            },
            UnsettledBoot = details.UnsettledBoot,
            DeletedAt = details.DeletedAt,
            ResetAt = details.ResetAt,
            LastUsedAt = details.LastUsedAt,
            Usage = details.Usage ?? ComputeUsage.None,
        };
    }
}

[JsonSourceGenerationOptions(
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(BranchDetails))]
internal sealed partial class CatalogJson : JsonSerializerContext;
