using System.CommandLine;
using Tributary.Contracts;

namespace Tributary.Cli;

/// <summary>Asks before something is removed for good. A script says <c>--yes</c>; without a terminal nobody could answer.</summary>
static class Confirmation
{
    public static readonly Option<bool> Yes = new("--yes", "-y") { Description = "Do it without asking" };

    /// <summary>Whether to go on; when not, that has been said.</summary>
    /// <param name="what">Completes "This removes …".</param>
    /// <param name="does">Another verb.</param>
    public static bool Given(ParseResult parse, string what, string does = "removes")
    {
        if (parse.GetValue(Yes))
            return true;
        if (Console.IsInputRedirected)
        {
            Failures.Write(parse, $"this {does} {what}", "add --yes to do it", ProblemCodes.WrongUsage);
            return false;
        }

        parse.InvocationConfiguration.Error.Write($"This {does} {what}. Go on? [y/N] ");
        if (Console.ReadLine()?.Trim() is "y" or "Y" or "yes")
            return true;
        Failures.Write(parse, "nothing was changed", null);
        return false;
    }
}
