using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>
/// A moment of production's past: by its clock, which holds every transaction committed until then, or by a position of its log, which holds
/// every record that ends there or before.
/// </summary>
public readonly record struct BranchPoint
{
    public DateTimeOffset? Time { get; private init; }

    public Lsn? Lsn { get; private init; }

    public static BranchPoint At(Lsn lsn) => new() { Lsn = lsn };

    public static BranchPoint At(DateTimeOffset time) => new() { Time = time };

    /// <summary>Reads a position as Postgres writes it, or an ISO 8601 moment; one without an offset is of UTC.</summary>
    public static bool TryParse(string text, out BranchPoint point, [NotNullWhen(false)] out string? error)
    {
        (point, error) = (default, null);
        if (Postgres.Lsn.TryParse(text, out var lsn))
            point = At(lsn);
        else if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
            point = At(time);
        else
            error = $"'{text}' is neither a moment, for example 2026-04-01T12:00:00Z, nor a position of the log, for example 0/16B3740";
        return error is null;
    }

    public override string ToString() => Lsn?.ToString() ?? Time?.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture) ?? "";
}
