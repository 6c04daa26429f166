using System.Diagnostics.CodeAnalysis;

namespace Tributary.Branching;

/// <summary>
/// The name of a branch: 1 to 63 lower-case letters, digits and hyphens, beginning with a letter, not ending with a hyphen — a DNS label,
/// so that a branch can be named by a host name, and free of the dot that parts a user name from a branch's.
/// </summary>
public readonly record struct BranchName
{
    public const int LengthMax = 63;

    readonly string _value;

    BranchName(string value) => _value = value;

    /// <summary>Reads a name; on failure says what a name must look like.</summary>
    public static bool TryParse(string? text, out BranchName name, [NotNullWhen(false)] out string? error)
    {
        name = default;
        error = null;
        if (string.IsNullOrEmpty(text))
            error = "a branch name cannot be empty";
        else if (text.Length > LengthMax)
            error = $"a branch name has at most {LengthMax} characters; this one has {text.Length}";
        else if (!char.IsAsciiLetterLower(text[0]) || text[^1] == '-' || !text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-'))
            error = $"'{text}' is not a branch name: use lower-case letters, digits and hyphens, begin with a letter, do not end with a hyphen";
        else if (text == "main")
            error = "'main' is the followed production itself; a branch needs another name";
        else
            name = new BranchName(text);
        return error is null;
    }

    /// <exception cref="ArgumentException">The text is not a branch name.</exception>
    public static BranchName Parse(string text) => TryParse(text, out var name, out var error) ? name : throw new ArgumentException(error, nameof(text));

    public override string ToString() => _value ?? "";
}
