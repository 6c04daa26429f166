namespace Tributary.Architecture.Tests;

static class Finding
{
    /// <summary>Fails with every breach of a rule, a line each; xunit's own message would cut the list.</summary>
    public static void None(IEnumerable<string> breaches)
    {
        var found = breaches.Distinct().ToList();
        if (found.Count > 0)
            Assert.Fail(string.Join('\n', found));
    }
}
