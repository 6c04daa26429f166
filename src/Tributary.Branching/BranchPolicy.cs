using System.Collections.ObjectModel;
using System.Text.RegularExpressions;

namespace Tributary.Branching;

/// <summary>What a person decides about a branch, at its creation or later.</summary>
public sealed partial record BranchPolicy
{
    /// <summary>Labels of one branch: a handful says what it is for; more is data, which belongs into it.</summary>
    public const int LabelsMax = 32;

    /// <summary>Characters of a label's value and of an owner's name: a line of a table still holds it.</summary>
    public const int TextCharsMax = 128;

    /// <summary>A branch that lives shorter is gone before its maker has used it.</summary>
    static readonly TimeSpan TtlLeast = TimeSpan.FromSeconds(1);

    static readonly TimeSpan TtlMost = TimeSpan.FromDays(3650);

    public static BranchPolicy Default { get; } = new();

    /// <summary>Who answers for it; null for nobody.</summary>
    public string? Owner { get; init; }

    public IReadOnlyDictionary<string, string> Labels { get; init; } = ReadOnlyDictionary<string, string>.Empty;

    /// <summary>It is neither deleted nor reset, also not by its time to live, until the protection is taken away.</summary>
    public bool IsProtected { get; init; }

    /// <summary>After this time it is deleted; null for never.</summary>
    public TimeSpan? Ttl { get; init; }

    public TtlStart TtlFrom { get; init; }

    public Durability Durability { get; init; }

    /// <summary>Lines of its <c>postgresql.conf</c>, which have passed <see cref="BranchSettings"/>.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = ReadOnlyDictionary<string, string>.Empty;

    /// <summary>What of it cannot be, and what to do; null when all of it can.</summary>
    public string? Problem()
    {
        if (Owner is not null && !IsLine(Owner))
            return $"an owner is 1 to {TextCharsMax} printable characters";
        if (Labels.Count > LabelsMax)
            return $"a branch has at most {LabelsMax} labels";
        if (Labels.Keys.FirstOrDefault(key => !LabelKey().IsMatch(key)) is { } bad)
            return $"'{bad}' does not serve as a label's name: use at most 63 lower-case letters, digits and . _ / -, and begin with a letter or digit";
        if (Labels.FirstOrDefault(label => label.Value.Length > 0 && !IsLine(label.Value)) is { Key: { } key })
            return $"the value of the label '{key}' has more than {TextCharsMax} characters, or one that is not printable";
        return Ttl is { } ttl && (ttl < TtlLeast || ttl > TtlMost)
            ? $"a time to live is between {TtlLeast.TotalSeconds:0} s and {TtlMost.TotalDays:0} days"
            : null;
    }

    static bool IsLine(string text) => text.Length is > 0 and <= TextCharsMax && !text.Any(char.IsControl);

    [GeneratedRegex("^[a-z0-9][a-z0-9._/-]{0,62}$")]
    private static partial Regex LabelKey();
}

/// <summary>Where the time to live of a branch begins.</summary>
public enum TtlStart
{
    /// <summary>With its creation: it ends at a fixed moment, also while somebody is in it.</summary>
    Creation,

    /// <summary>With its last use: it ends when nobody has been in it for so long.</summary>
    LastUse,
}
