using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tributary.Branching.Catalog;

/// <summary>A row of the table of branches, column for column, as it is in the catalog and in the record beside the volumes.</summary>
/// <param name="Name">Of a branch that is deleted: with a space and the id behind it.</param>
internal sealed record BranchRow(
    long Id, string Name, string State, string SeedId, string Lsn, string DataTime, string CreatedAt, int Generation, string? IdempotencyKey, string Origin,
    JsonElement Details)
{
    /// <exception cref="FormatException">A column does not hold what it should; also <see cref="ArgumentException"/>, <see cref="JsonException"/>.</exception>
    public Branch ToBranch() => BranchDetails.Read(
        new Branch(
            Id, BranchName.Parse(Name.Split(' ')[0]), SeedId, Enum.Parse<BranchState>(State), Postgres.Lsn.Parse(Lsn), CatalogTime.Parse(DataTime),
            CatalogTime.Parse(CreatedAt), Generation)
        {
            Origin = Enum.Parse<BranchOrigin>(Origin),
        },
        Details.GetRawText());
}

internal sealed record SeedRow(string Id, string State, string Lsn, string DataTime)
{
    public static SeedRow Of(SeedStatus seed) => new(seed.Id, "Ready", seed.Lsn.ToString(), CatalogTime.Text(seed.DataTime));

    public SeedStatus ToSeed() => new(Id, Postgres.Lsn.Parse(Lsn), CatalogTime.Parse(DataTime));
}

internal sealed record BaseRow(string Id, string LogFrom, string Lsn, string DataTime)
{
    public static BaseRow Of(BaseImage image) => new(image.Id, image.LogFrom.ToString(), image.Lsn.ToString(), CatalogTime.Text(image.DataTime));

    public BaseImage ToBase() => new(Id, Postgres.Lsn.Parse(LogFrom), Postgres.Lsn.Parse(Lsn), CatalogTime.Parse(DataTime));
}

/// <param name="Facts">What main has reached, and what production told us.</param>
/// <param name="Sequence">The highest number that a branch or a spare has been given.</param>
internal sealed record FactsRow(IReadOnlyDictionary<string, string> Facts, long Sequence);

/// <summary>All that a catalog holds.</summary>
internal sealed record CatalogContents(FactsRow Facts, IReadOnlyList<SeedRow> Seeds, IReadOnlyList<BaseRow> Bases, IReadOnlyList<BranchRow> Branches);

internal static class CatalogTime
{
    public static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);

    public static DateTimeOffset Parse(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(BranchRow))]
[JsonSerializable(typeof(SeedRow))]
[JsonSerializable(typeof(BaseRow))]
[JsonSerializable(typeof(FactsRow))]
[JsonSerializable(typeof(Dictionary<string, GoneAccount>))]
internal sealed partial class RowJson : JsonSerializerContext;
