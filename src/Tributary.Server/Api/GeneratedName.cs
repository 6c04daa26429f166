using System.Globalization;
using System.Security.Cryptography;
using Tributary.Branching;

namespace Tributary.Server.Api;

/// <summary>Names for branches that nobody named: <c>calm-otter-4821</c>. One of 32 × 32 × 10,000, so that a clash is rare; the caller tries again on one.</summary>
static class GeneratedName
{
    static readonly string[] Qualities =
    [
        "able", "amber", "bold", "brave", "brisk", "calm", "clear", "clever", "crisp", "deft", "eager", "fair", "fleet", "fond", "glad", "keen",
        "kind", "light", "lively", "lucid", "mild", "neat", "nimble", "proud", "quick", "quiet", "rapid", "sharp", "steady", "still", "swift", "warm",
    ];

    static readonly string[] Animals =
    [
        "badger", "beaver", "bison", "crane", "curlew", "dipper", "eel", "egret", "falcon", "finch", "fox", "gannet", "grebe", "hare", "heron", "ibis",
        "kite", "lark", "lynx", "marten", "mink", "newt", "osprey", "otter", "owl", "perch", "pike", "plover", "robin", "salmon", "trout", "wren",
    ];

    public static BranchName Next() => BranchName.Parse(string.Create(
        CultureInfo.InvariantCulture,
        $"{Qualities[RandomNumberGenerator.GetInt32(Qualities.Length)]}-{Animals[RandomNumberGenerator.GetInt32(Animals.Length)]}-{RandomNumberGenerator.GetInt32(10_000):0000}"));
}
