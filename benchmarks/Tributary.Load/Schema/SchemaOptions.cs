using System.Globalization;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Schema;

/// <summary>How a run of the schema benchmark goes.</summary>
/// <param name="Commands">Commands that must succeed at the source.</param>
/// <param name="Seed">Of every random choice but the timing of the operating system; printed, so that a run can be repeated.</param>
/// <param name="Postgres">The major version of both servers; 0 stands for the newest that the machine's packages have made.</param>
sealed record SchemaOptions(int Commands, int Seed, int Postgres)
{
    public static SchemaOptions Default { get; } = new(2000, Environment.TickCount & 0xFFFFFF, 0);

    public const string Usage = "[--commands N] [--seed S] [--postgres MAJOR]";

    public PostgresInstallation Installation => Postgres == 0 ? PostgresInstallation.FindNewest() : PostgresInstallation.Find(Postgres);

    /// <summary>Null: a word is not an option, or its value no number.</summary>
    public static SchemaOptions? Parse(IReadOnlyList<string> words)
    {
        var options = Default;
        for (var i = 0; i < words.Count; i += 2)
        {
            if (i + 1 == words.Count || !int.TryParse(words[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var value))
                return null;
            switch (words[i])
            {
                case "--commands" when value > 0:
                    options = options with { Commands = value };
                    break;
                case "--seed":
                    options = options with { Seed = value };
                    break;
                case "--postgres" when value > 0:
                    options = options with { Postgres = value };
                    break;
                default:
                    return null;
            }
        }

        return options;
    }
}
