using System.Reflection;

namespace Tributary.Server;

/// <summary>The version of this build.</summary>
public static class ProductVersion
{
    public static string Text => typeof(ProductVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}
