using System.Text;

namespace Tributary.Gateway.Routing;

/// <summary>
/// The startup parameter <c>options</c>: switches of the server's command line. Those that name a branch are the gateway's and are taken out;
/// the rest goes upstream as it was meant.
/// Source: pg_split_opts in src/backend/utils/init/postinit.c: words part at white space, a backslash takes the next character as it is.
/// </summary>
static class OptionsParameter
{
    // isspace of the C locale, which pg_split_opts uses.
    const string WhiteSpace = " \t\n\v\f\r";

    static readonly string[] BranchKeys = ["branch=", "tributary.branch="];

    /// <summary>The branch named last, as in Postgres the last setting wins; null when none is named.</summary>
    public static (string? Branch, string Remaining) TakeBranch(string options)
    {
        string? branch = null;
        var rest = new List<string>();
        var words = Split(options);
        for (var i = 0; i < words.Count; i++)
        {
            // "-c" takes the next word; all other forms are one word.
            var hasValueApart = words[i] == "-c" && i + 1 < words.Count;
            var setting = hasValueApart ? words[i + 1] : WithoutSwitch(words[i]);
            if (BranchOf(setting) is { } named)
                branch = named;
            else if (hasValueApart)
                rest.AddRange([words[i], words[i + 1]]);
            else
                rest.Add(words[i]);
            if (hasValueApart)
                i++;
        }

        return (branch, string.Join(' ', rest.Select(Escape)));
    }

    static string WithoutSwitch(string word) =>
        word.StartsWith("--", StringComparison.Ordinal) || word.StartsWith("-c", StringComparison.Ordinal) ? word[2..] : word;

    static string? BranchOf(string setting)
    {
        foreach (var key in BranchKeys)
            if (setting.StartsWith(key, StringComparison.Ordinal))
                return setting[key.Length..];
        return null;
    }

    static List<string> Split(string options)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        var inWord = false;
        for (var i = 0; i < options.Length; i++)
        {
            if (WhiteSpace.Contains(options[i]))
            {
                if (inWord)
                    words.Add(word.ToString());
                word.Clear();
                inWord = false;
                continue;
            }

            inWord = true;
            if (options[i] != '\\')
                word.Append(options[i]);
            else if (i + 1 < options.Length)
                word.Append(options[++i]);
        }

        if (inWord)
            words.Add(word.ToString());
        return words;
    }

    static string Escape(string word)
    {
        var escaped = new StringBuilder(word.Length);
        foreach (var character in word)
        {
            if (character == '\\' || WhiteSpace.Contains(character))
                escaped.Append('\\');
            escaped.Append(character);
        }

        return escaped.ToString();
    }
}
